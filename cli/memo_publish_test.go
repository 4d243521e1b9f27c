package cli_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPublishMemo is the way of a person who publishes for the first time: refused, told how to log in, and there.
func TestPublishMemo(t *testing.T) {
	t.Parallel()
	for _, login := range [][]string{{"login"}, {"login", "--device"}} {
		t.Run(strings.Join(login, " "), func(t *testing.T) {
			t.Parallel()
			p, s := newPerson(t), newServer(t)
			p.pace = func(d time.Duration) time.Duration { return d / 1000 }
			p.ok(append(login, s.URL)...)
			p.ok("memo", "add", "-t", "公開する", "本文")
			hint := "paput login " + s.URL + " --scope paput.publish"
			p.fails(7, hint, "memo", "publish", memo1)

			registrations := s.registrations
			p.ok(append(login, s.URL, "--scope", "paput.publish")...)
			if s.registrations != registrations+1 {
				t.Errorf("got %d registrations, want one more for the scope than %d", s.registrations, registrations)
			}
			address := s.URL + "/m/" + memo1
			if got := p.ok("memo", "publish", memo1); got != address+"\n" {
				t.Errorf("got %q, want the address", got)
			}
			has(t, p.ok("memo", "show", memo1), "public at "+address)
			o := p.fails(4, "memo_x", "memo", "publish", memo1, "memo_x")
			if o.out != address+"\n" {
				t.Errorf("got %q, want the address of the other", o.out)
			}
			published := result[struct {
				Results []struct {
					URL string `json:"public_url"`
				}
			}](p, "memo", "publish", memo1)
			if published.Results[0].URL != address {
				t.Errorf("got %+v", published)
			}

			// A later log-in without the flag asks for less, and with it needs no new registration.
			p.ok(append(login, s.URL)...)
			p.fails(7, hint, "memo", "edit", memo1, "-t", "変える")
			if got := p.ok("memo", "unpublish", memo1); got != memo1+" private\n" {
				t.Errorf("got %q", got)
			}
			if strings.Contains(p.ok("memo", "show", memo1), "public at") {
				t.Error("an unpublished memo is shown as public")
			}
			p.ok(append(login, s.URL, "--scope", "paput.publish")...)
			if s.registrations != registrations+1 {
				t.Errorf("got %d registrations, want %d", s.registrations, registrations+1)
			}
		})
	}
}

func TestLoginWithScopes(t *testing.T) {
	t.Parallel()
	p, s := newPerson(t), newServer(t)
	p.ok("login", s.URL, "--scope", "paput.publish", "--scope", "paput.read", "--scope", "paput.publish")
	if got := strings.Fields(s.authorized[0].Get("scope")); !slices.Equal(got, []string{"paput.read", "paput.write", "paput.publish"}) {
		t.Errorf("got %q, want the usual scopes and the one more", got)
	}
	s.now(func() { s.unticks = "paput.publish" })
	has(t, p.run("login", s.URL, "--scope", "paput.publish").err, "the scope paput.publish was not allowed")
}
