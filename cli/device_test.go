package cli_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// paced is a person at a machine without a browser, whose waits are over in no time; it returns those there were.
func paced(t *testing.T) (p *person, waits func() []time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var seen []time.Duration
	p = newPerson(t)
	p.browse = func(context.Context, string) error { t.Error("a browser was opened"); return nil }
	p.pace = func(d time.Duration) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		if seen = append(seen, d); d > 5*time.Minute {
			return time.Minute // until the code expires
		}
		return time.Millisecond
	}
	return p, func() []time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

func TestLoginOfADevice(t *testing.T) {
	t.Parallel()
	p, waits := paced(t)
	s := newServer(t)
	s.polls = []string{"authorization_pending", "slow_down", "authorization_pending", "unavailable", "unavailable"}
	o := p.run("login", s.URL, "--device")
	if o.code != 0 || o.out != "Logged in to "+s.URL+" as hanako@example.com.\n" {
		t.Fatalf("got exit code %d, %q, %q", o.code, o.out, o.err)
	}
	has(t, o.err, "\n  "+s.URL+"/device\n", "\n  WDJB-MJHT\n", "only if the page shows the same code")
	noSecrets(t, o.out+o.err)
	want := []time.Duration{
		10 * time.Minute, 3 * time.Second, 3 * time.Second, 8 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second,
	}
	if got := waits(); !slices.Equal(got, want) {
		t.Errorf("got waits %v, want %v", got, want)
	}
	if q := s.devices[0]; q.Get("scope") != "paput.read paput.write" || q.Get("client_id") != "dcr_1" {
		t.Errorf("got %v", q)
	}
	if got := s.grantTypes["dcr_1"]; !slices.Equal(got, []string{deviceGrant, "refresh_token"}) || s.clients["dcr_1"].Has("redirect_uris") && s.clients["dcr_1"]["redirect_uris"] != nil {
		t.Errorf("got grant types %v and %v, want those of a device", got, s.clients["dcr_1"])
	}

	// From here on it is a log-in as any other.
	has(t, p.ok("status"), s.URL, "hanako@example.com")
	s.expireAccess()
	has(t, p.ok("status"), "hanako@example.com")
	p.ok("login", "--device")
	if s.registrations != 1 || s.refreshes != 1 || s.revocations != 1 {
		t.Errorf("got %d registrations, %d refreshes and %d revocations, want 1 each", s.registrations, s.refreshes, s.revocations)
	}
	p.ok("logout")
	p.fails(3, "not logged in", "status")
}

// A registration is good for one way to log in.
func TestLoginInOneWayAndThenTheOther(t *testing.T) {
	t.Parallel()
	p, _ := paced(t)
	s := newServer(t)
	p.ok("login", s.URL, "--device")
	p.browse = nil
	p.ok("login")
	p.ok("login", "--device")
	if s.registrations != 3 || s.revocations != 2 {
		t.Errorf("got %d registrations and %d revocations, want 3 and 2", s.registrations, s.revocations)
	}
}

func TestLoginOfADeviceRegistersAgainWhenForgotten(t *testing.T) {
	t.Parallel()
	p, _ := paced(t)
	s := newServer(t)
	p.ok("login", s.URL, "--device")
	s.polls = []string{"authorization_pending", "invalid_client"}
	p.ok("login", "--device")
	if s.registrations != 2 {
		t.Errorf("got %d registrations, want 2", s.registrations)
	}
}

func TestLoginOfADeviceRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		make func(*server)
		code int
		text string
	}{
		{"denied", func(s *server) { s.polls = []string{"authorization_pending", "access_denied"} }, 7, "access was denied in the browser"},
		{"expired", func(s *server) { s.polls = []string{"expired_token"} }, 1, "run paput login --device again"},
		{"the code is refused", func(s *server) { s.polls = []string{"invalid_grant"} }, 1, "because of invalid_grant"},
		{"something unheard of", func(s *server) { s.polls = []string{"weather"} }, 7, "because of weather"},
		{"no such endpoint", func(s *server) { s.noDevices = true }, 7, "paput login --no-browser"},
		{"codes that are good for no time", func(s *server) { s.codesFor = 0 }, 1, "has no code for this machine"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, _ := paced(t)
			s := newServer(t)
			test.make(s)
			o := p.fails(test.code, test.text, "login", s.URL, "--device")
			noSecrets(t, o.err)
			p.fails(3, "not logged in to "+s.URL, "status", "--server", s.URL)
		})
	}
	p, _ := paced(t)
	p.fails(2, "--device and --no-browser are two ways", "login", "--device", "--no-browser")
}

func TestLoginOfADeviceTimesOut(t *testing.T) {
	t.Parallel()
	p, _ := paced(t)
	s := newServer(t)
	s.polls = slices.Repeat([]string{"authorization_pending"}, 1000)
	s.codesFor = 60
	p.pace = func(d time.Duration) time.Duration { return d / 600 }
	p.fails(1, "nobody entered the code in time; run paput login --device again", "login", s.URL, "--device")
	s.mu.Lock() // the poll that ran out of time may be under way still
	defer s.mu.Unlock()
	if s.polled < 1 || s.polled > 20 {
		t.Errorf("got %d polls, want 1 to 20", s.polled)
	}
}

func TestLoginOfADeviceIsInterrupted(t *testing.T) {
	t.Parallel()
	p, _ := paced(t)
	s := newServer(t)
	s.polls = slices.Repeat([]string{"authorization_pending"}, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	p.ctx = ctx
	p.pace = func(d time.Duration) time.Duration {
		if d < time.Minute {
			cancel()
		}
		return d
	}
	p.fails(130, "interrupted", "login", s.URL, "--device")
}

func TestLoginWithoutABrowserSuggestsACode(t *testing.T) {
	t.Parallel()
	p, s := newPerson(t), newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	p.ctx = ctx
	p.browse = func(context.Context, string) error { cancel(); return errors.New("there is none") }
	p.fails(130, "paput login --device", "login", s.URL)
}
