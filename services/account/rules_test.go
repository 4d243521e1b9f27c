package account

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestParseEmail(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64) + "@" + strings.Repeat("b", 189)
	tests := []struct {
		in, want string
		err      error
	}{
		{"ada@example.com", "ada@example.com", nil},
		{" \tAda.L+x@Example.com\n", "Ada.L+x@Example.com", nil},
		{"ada@localhost", "ada@localhost", nil},
		{"e\u0301@example.com", "é@example.com", nil},
		{long, long, nil},
		{long + "b", "", ErrEmail},
		{"", "", ErrEmail},
		{"ada", "", ErrEmail},
		{"@example.com", "", ErrEmail},
		{"ada@", "", ErrEmail},
		{"a b@example.com", "", ErrEmail},
		{`"a b"@example.com`, "", ErrEmail},
		{"Ada <ada@example.com>", "", ErrEmail},
		{"<ada@example.com>", "", ErrEmail},
		{"a@example.com,b@example.com", "", ErrEmail},
		{"a@example.com\r\nBcc: b@example.com", "", ErrEmail},
		{"ada\u202e@example.com", "", ErrEmail},
		{"ada\u200b@example.com", "", ErrEmail},
		{"\xff@example.com", "", ErrEmail},
	}
	for _, tc := range tests {
		if got, err := parseEmail(tc.in); got != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%q: got %q, %v, want %q, %v", tc.in, got, err, tc.want, tc.err)
		}
	}
	if emailKey(" ÉA@Example.com") != emailKey("e\u0301a@example.COM ") {
		t.Error("two ways to write one address differ")
	}
}

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, password string
		want           error
	}{
		{"8", "a8c-efgh", nil},
		{"7", "a8c-efg", ErrPasswordShort},
		{"8 in 24 bytes", "あいうえおかきく", nil},
		{"7 after normalisation", "e\u0301" + "234567", ErrPasswordShort},
		{"200", strings.Repeat("xy", 100), nil},
		{"201", strings.Repeat("x", 201), ErrPasswordLong},
		{"spaces", "        ", nil},
		{"address", "ADA@example.com ", ErrPasswordEmail},
		{"common", "Qwerty123", ErrPasswordCommon},
		{"bytes", "\xff\xfe345678", ErrPasswordText},
		{"empty", "", ErrPasswordShort},
	}
	for _, tc := range tests {
		if err := checkPassword(tc.password, "ada@example.com"); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
	for _, p := range commonest() {
		if p != strings.ToLower(p) || len(p) < minPassword {
			t.Errorf("%q is never matched", p)
		}
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	h := newHasher(cheap())
	encoded, err := h.hash(t.Context(), "pässword with ä")
	if err != nil || !regexp.MustCompile(`^\$argon2id\$v=19\$m=8,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`).MatchString(encoded) {
		t.Fatalf("got %q, %v", encoded, err)
	}
	if other, _ := h.hash(t.Context(), "pässword with ä"); other == encoded {
		t.Error("two hashes of one password are equal: there is no salt")
	}
	for _, tc := range []struct {
		name, encoded, password string
		want                    bool
	}{
		{"right", encoded, "pässword with ä", true},
		{"decomposed", encoded, "pa\u0308ssword with a\u0308", true},
		{"wrong", encoded, "password with a", false},
		{"empty", encoded, "", false},
		{"no hash", "", "pässword with ä", false},
		{"broken hash", encoded[:len(encoded)-1], "pässword with ä", false},
	} {
		before := h.runs.Load()
		if got, _, err := h.verify(t.Context(), tc.encoded, tc.password); got != tc.want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", tc.name, got, err, tc.want)
		}
		if h.runs.Load() != before+1 {
			t.Errorf("%s: the work differs", tc.name)
		}
	}
}

// The hash is one from the tests of argon2's reference implementation.
func TestHashIsTheStandardOne(t *testing.T) {
	t.Parallel()
	h := newHasher(cheap())
	ok, outdated, err := h.verify(t.Context(), "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password")
	if !ok || !outdated || err != nil {
		t.Errorf("got %v, %v, %v, want true, true, nil", ok, outdated, err)
	}
}

func TestHashingDefaults(t *testing.T) {
	t.Parallel()
	h := newHasher(Hashing{})
	if want := (Hashing{MemoryKiB: 19456, Passes: 2, Lanes: 1, Parallel: h.config.Parallel, Wait: 3 * time.Second}); h.config != want || cap(h.turns) < 1 {
		t.Errorf("got %+v, want %+v", h.config, want)
	}
	encoded, err := h.hash(t.Context(), goodPassword)
	if err != nil || !strings.HasPrefix(encoded, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("got %q, %v", encoded, err)
	}
}

func TestHashWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	h := newHasher(Hashing{MemoryKiB: 8, Passes: 1, Lanes: 1, Parallel: 1, Wait: 10 * time.Millisecond})
	h.turns <- struct{}{}
	if _, err := h.hash(t.Context(), "x"); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := h.verify(ctx, "", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the caller's own reason", err)
	}
	<-h.turns
	if _, err := h.hash(t.Context(), "x"); err != nil {
		t.Error(err)
	}
}

func FuzzPHC(f *testing.F) {
	h := newHasher(cheap())
	good, err := h.hash(f.Context(), "x")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{good, "", "$argon2id$v=19$m=8,t=0,p=1$c29tZXNhbHQ$c29tZXNhbHQ", "$argon2i$v=19$m=8,t=1,p=1$a$b", "$argon2id$v=19$m=99999999999,t=1,p=1$$"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err == nil && p.String() != s {
			t.Errorf("%q is read as %q", s, p)
		}
		if err == nil && (p.passes == 0 || p.lanes == 0 || len(p.key) == 0) {
			t.Errorf("%q cannot be computed", s)
		}
	})
}

func TestLimit(t *testing.T) {
	t.Parallel()
	l := newLimit(Rate{Every: 10 * time.Second, Burst: 2}, Rate{})
	l.max = 2
	now := time.Unix(0, 0)
	steps := []struct {
		after time.Duration
		key   string
		back  bool
		want  time.Duration
	}{
		{0, "a", false, 0},
		{0, "a", false, 0},
		{0, "a", false, 10 * time.Second},
		{4 * time.Second, "a", false, 6 * time.Second},
		{0, "b", false, 0},
		{6 * time.Second, "a", false, 0},
		{0, "a", false, 10 * time.Second},
		{0, "a", true, 0},
		{0, "a", false, 0},
		{0, "a", false, 10 * time.Second},
		{0, "c", false, 0},
		{0, "a", false, 10 * time.Second}, // b was forgotten for c, not a
		{time.Hour, "a", false, 0},
		{0, "a", false, 0},
		{0, "a", false, 10 * time.Second}, // never more than the burst
		{-time.Hour, "a", false, 10 * time.Second},
		{2 * time.Hour, "a", true, 0}, // not by giving back either
		{0, "a", false, 0},
		{0, "a", false, 0},
		{0, "a", false, 10 * time.Second},
	}
	for i, s := range steps {
		now = now.Add(s.after)
		if s.back {
			l.giveBack(s.key, now)
			continue
		}
		if got := l.take(s.key, now); got != s.want {
			t.Errorf("step %d: got %v, want %v", i, got, s.want)
		}
		if len(l.buckets) > 2 || l.order.Len() != len(l.buckets) {
			t.Errorf("step %d: %d buckets, %d in order", i, len(l.buckets), l.order.Len())
		}
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.1:1234":             "192.0.2.1",
		"[::ffff:192.0.2.1]:1234":    "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:443": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:443":         "fe80::/64",
		"@":                          "@",
	} {
		if got := clientAddress(remote); got != want {
			t.Errorf("%s: got %s, want %s", remote, got, want)
		}
	}
}

func TestTextsAreComplete(t *testing.T) {
	t.Parallel()
	en, ja := reflect.ValueOf(english()), reflect.ValueOf(japanese())
	for i := range en.NumField() {
		name, e, j := en.Type().Field(i).Name, en.Field(i).String(), ja.Field(i).String()
		if e == "" || j == "" {
			t.Errorf("%s is missing: %q, %q", name, e, j)
		}
		if strings.Count(e, "%") != strings.Count(j, "%") {
			t.Errorf("%s has other verbs: %q, %q", name, e, j)
		}
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for header, want := range map[string]string{
		"": "en", "ja": "ja", "ja-JP,en;q=0.8": "ja", "en-GB,ja;q=0.9": "en", "fr": "en", "fr,ja;q=0.5,en;q=0.4": "ja", "*": "en", ";;;": "en",
	} {
		v := s.visitor()
		v.language = header
		res := v.get("/login")
		res.want(t, 200, fmt.Sprintf(`<html lang=%q>`, want))
		if got := res.header.Get("Content-Language"); got != want {
			t.Errorf("%q: got Content-Language %q, want %q", header, got, want)
		}
	}
}

// Each field of a form has a label, and what describes it exists.
func TestPagesAreAccessible(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	setup, invitation := s.setupLink(), s.invite("bob@example.com")
	v := s.visitor()
	bodies := []string{
		v.get("/login").body, v.get(setup).body, v.get(invitation).body,
		v.signIn("x@example.com", "wrong").body,
		v.post("/setup", v.fill(setup, "email", "x", "password", "y")).body,
		v.post("/setup", v.fill(setup, "email", "x@example.com", "password", goodPassword, "password_again", "y")).body,
		v.post("/invite", v.fill(invitation, "password", "y")).body,
	}
	inputs := regexp.MustCompile(`<input id="(.*?)"[^>]*>`)
	described := regexp.MustCompile(`aria-(?:describedby|labelledby)="(.*?)"`)
	anchors := regexp.MustCompile(`href="#(.*?)"`)
	for _, body := range bodies {
		fields := inputs.FindAllStringSubmatch(body, -1)
		if len(fields) < 2 || strings.Count(body, "<h1>") != 1 {
			t.Errorf("no form with a heading:\n%s", body)
		}
		ids := []string{}
		for _, f := range fields {
			if !strings.Contains(body, `<label for="`+f[1]+`">`) || !strings.Contains(f[0], "autocomplete=") {
				t.Errorf("%s has no label or autocomplete", f[0])
			}
		}
		for _, d := range described.FindAllStringSubmatch(body, -1) {
			ids = append(ids, strings.Fields(d[1])...)
		}
		for _, a := range anchors.FindAllStringSubmatch(body, -1) {
			ids = append(ids, a[1])
		}
		for _, id := range ids {
			if strings.Count(body, `id="`+id+`"`) != 1 {
				t.Errorf("%d elements have the id %q:\n%s", strings.Count(body, `id="`+id+`"`), id, body)
			}
		}
		if strings.Contains(body, "<script") || strings.Contains(body, "style=") {
			t.Errorf("inline script or style:\n%s", body)
		}
	}
}

func TestScriptInInputIsEscaped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	v := s.visitor()
	evil := `"><script>alert(1)</script>`
	body := v.post("/login", v.fill("/login?next=%2Fa%3F%22%3E%3Cscript%3E", "email", evil, "password", evil)).body
	if strings.Contains(body, "<script>") {
		t.Errorf("the page runs a script:\n%s", body)
	}
}
