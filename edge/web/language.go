package web

import "net/http"

// maxLanguages is how long an Accept-Language header may be, in bytes. Browsers send fewer than 200.
const maxLanguages = 1 << 10

// boundLanguages drops an Accept-Language header that no browser sends: to find the best among thousands of languages takes
// longer than all else that a stranger can ask for.
func boundLanguages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		length := 0
		for _, line := range r.Header["Accept-Language"] {
			length += len(line)
		}
		if length > maxLanguages {
			r = r.WithContext(r.Context()) // a copy
			r.Header = r.Header.Clone()
			r.Header.Del("Accept-Language")
		}
		next.ServeHTTP(w, r)
	})
}
