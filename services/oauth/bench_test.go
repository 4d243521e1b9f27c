package oauth_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/types/known/timestamppb"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
	"github.com/paput/paput/services/eventlog"
	"github.com/paput/paput/services/eventlog/eventlogtest"
	"github.com/paput/paput/services/eventlog/sqlite"
	"github.com/paput/paput/services/oauth"
)

// benchCallers is how many callers there are at once.
const benchCallers = 64

// benchWorld is a server with a log on the disk, a sync for every commit, and the time of the day.
func benchWorld(b *testing.B) (*world, http.Handler) {
	b.Helper()
	database, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "log.db"))
	if err != nil {
		b.Fatal(err)
	}
	config := eventlog.Config{Kinds: oauth.Kinds(), Projections: oauth.Projections(), Now: time.Now}
	w := newWorld(b, func(c *oauth.Config) {
		c.RegisterRate, c.PageRate, c.Logger = rate.Inf, rate.Inf, slog.New(slog.DiscardHandler)
		c.Log, c.Now = eventlogtest.Start(b, database, config), time.Now
	})
	slog.SetDefault(slog.New(slog.DiscardHandler)) // as paputd does
	return w, w.server.Handler()
}

// measure lets the callers share b.N calls, and reports the processor time of the whole process, callers included, and
// what it writes.
func measure(b *testing.B, call func(caller int)) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	before := usage(b)
	var (
		left    atomic.Int64
		running sync.WaitGroup
	)
	left.Store(int64(b.N))
	for caller := range benchCallers {
		running.Go(func() {
			for left.Add(-1) >= 0 {
				call(caller)
			}
		})
	}
	running.Wait()
	b.StopTimer()
	for unit, used := range usage(b) {
		b.ReportMetric((used-before[unit])/float64(b.N), unit)
	}
}

// usage is what the process has used so far.
func usage(b *testing.B) map[string]float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	used := map[string]float64{"cpu-µs/op": float64(u.Utime.Nano()+u.Stime.Nano()) / 1e3}
	statistics, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return used // not on Linux
	}
	for line := range strings.Lines(string(statistics)) {
		var n float64
		if _, err := fmt.Sscanf(line, "wchar: %f", &n); err == nil {
			used["written-B/op"] = n
		}
		if _, err := fmt.Sscanf(line, "syscw: %f", &n); err == nil {
			used["writes/op"] = n
		}
	}
	return used
}

// post sends a body past the network.
func post(b *testing.B, h http.Handler, path, contentType, body string) reply {
	b.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	recorded := httptest.NewRecorder()
	h.ServeHTTP(recorded, r)
	return reply{recorded.Code, recorded.Header(), recorded.Body.String()}
}

// BenchmarkRefresh refreshes grants at random, each caller its own, of as many as there are.
func BenchmarkRefresh(b *testing.B) {
	for _, grants := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("grants=%d", grants), func(b *testing.B) {
			if testing.Short() && grants > 1_000 {
				b.Skip("it takes minutes to make so many grants")
			}
			w, h := benchWorld(b)
			id := w.register(nil).id
			tokens := w.grants(b, id, grants)
			measure(b, func(caller int) {
				mine := &tokens[caller+benchCallers*rand.IntN(len(tokens)/benchCallers)]
				form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {*mine}, "client_id": {id}}
				r := post(b, h, "/token", formType, form.Encode())
				if *mine = r.text("refresh_token"); *mine == "" {
					b.Error(r.body)
				}
			})
		})
	}
}

// grants makes many grants of a client and returns their refresh tokens.
func (w *world) grants(b *testing.B, clientID string, n int) (tokens []string) {
	b.Helper()
	const batch = 10_000
	for len(tokens) < n {
		var made []string
		err := w.log.Do(b.Context(), func(tx *eventlog.Tx) error {
			made = nil
			for i := range min(batch, n-len(tokens)) {
				// As if one had come every millisecond until a moment ago.
				token, hash := oauth.NewRefreshToken(tx.Now().Add(-time.Duration(n-len(tokens)-i) * time.Millisecond))
				made = append(made, token)
				redeemed := &oauthv1.CodeRedeemed{
					AccessToken:     &oauthv1.AccessToken{Hash: hash, Scopes: []string{"paput.read"}, ExpireTime: timestamppb.New(tx.Now().Add(time.Hour))},
					RefreshToken:    &oauthv1.RefreshToken{Hash: hash, ExpireTime: timestamppb.New(tx.Now().Add(30 * 24 * time.Hour))},
					GrantExpireTime: timestamppb.New(tx.Now().Add(90 * 24 * time.Hour)),
				}
				err := tx.Append(fmt.Sprintf("grant/grant_%026d", len(tokens)+i),
					&oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_ConsentGranted{ConsentGranted: &oauthv1.ConsentGranted{
						AccountId: "acct_1", ClientId: clientID, Resource: w.url, Scopes: []string{"paput.read", "paput.write"},
					}}},
					&oauthv1.GrantEvent{Event: &oauthv1.GrantEvent_CodeRedeemed{CodeRedeemed: redeemed}})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		tokens = append(tokens, made...)
	}
	return tokens
}

func BenchmarkRegister(b *testing.B) {
	_, h := benchWorld(b)
	var n atomic.Int64
	measure(b, func(int) {
		r := post(b, h, "/register", "application/json", fmt.Sprintf(
			`{"redirect_uris":["http://localhost/cb"],"token_endpoint_auth_method":"none","client_name":"Bench %d"}`, n.Add(1)))
		if r.status != http.StatusCreated {
			b.Error(r.body)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	w, _ := benchWorld(b)
	token := w.register(nil).login("acct_1").access
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.server.Authenticate(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
