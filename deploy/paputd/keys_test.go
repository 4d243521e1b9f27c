package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paput/paput/deploy/visitor"
	serverv1 "github.com/paput/paput/proto/gen/paput/server/v1"
	"github.com/paput/paput/services/eventlog"
)

// keyStart is a time to the millisecond.
var keyStart = time.Date(2031, 5, 6, 7, 8, 9, 123e6, time.UTC)

// paputd runs a command as main does and returns what it prints.
func paputd(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := command(io.Discard)
	cmd.SetOut(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	return out.String(), err
}

func mustPaputd(t *testing.T, args ...string) string {
	t.Helper()
	out, err := paputd(t.Context(), args...)
	if err != nil {
		t.Fatalf("paputd %q: %v", args, err)
	}
	return out
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "server.key")
	first, err := readKeys(file, keyStart)
	if err != nil {
		t.Fatal(err)
	}
	second := first.rotated(keyStart.Add(time.Hour), false)
	if _, err := second.write(file); err != nil {
		t.Fatal(err)
	}
	again, err := readKeys(file, keyStart.Add(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(again, second, sameKey) {
		t.Errorf("got %v, want %v", again, second)
	}
	if len(again) != 2 || !bytes.Equal(again[1].Key, first[0].Key) || !again[1].Retired.Equal(keyStart.Add(time.Hour)) || again[0].Replaces != first[0].ID {
		t.Errorf("got %v after a rotation of %v", again, first)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file that others cannot read", info.Mode(), err)
	}
	if _, err := os.Stat(file + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want nothing left over", err)
	}
	if third := second.rotated(keyStart.Add(time.Hour), true); len(third) != 1 || third[0].Replaces != second[0].ID {
		t.Errorf("got %v, want one key", third)
	}
}

func sameKey(a, b serverKey) bool {
	return a.ID == b.ID && bytes.Equal(a.Key, b.Key) && a.Created.Equal(b.Created) && a.Replaces == b.Replaces && a.Retired.Equal(b.Retired)
}

func TestBareKeyFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "server.key")
	bare := []byte("{0123456789abcdef0123456789abcd}")
	if err := os.WriteFile(file, bare, 0o644); err != nil {
		t.Fatal(err)
	}
	keys, err := readKeys(file, keyStart)
	if err != nil || len(keys) != 1 || !bytes.Equal(keys[0].Key, bare) || !keys[0].Created.IsZero() {
		t.Fatalf("got %v, %v", keys, err)
	}
	if content, _ := os.ReadFile(file); !bytes.Equal(content, bare) {
		t.Error("reading has changed the file")
	}
	if _, err := keys.rotated(keyStart, false).write(file); err != nil {
		t.Fatal(err)
	}
	keys, err = readKeys(file, keyStart)
	if err != nil || len(keys) != 2 || !bytes.Equal(keys[1].Key, bare) {
		t.Errorf("after a rotation: got %v, %v", keys, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("after a rotation: got %v, %v, want a file that others cannot read", info.Mode(), err)
	}
}

func TestDamagedKeyFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "server.key")
	keys := serverKeys{newServerKey(keyStart, "")}.rotated(keyStart, false)
	if _, err := keys.write(file); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, fresh string) []byte {
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("the file has no %s", old)
		}
		return bytes.Replace(good, []byte(old), []byte(fresh), 1)
	}
	alter := func(change func(*keyDocument)) []byte {
		var d keyDocument
		if err := json.Unmarshal(good, &d); err != nil {
			t.Fatal(err)
		}
		change(&d)
		content, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	for _, test := range []struct {
		name string
		give []byte
		want string
	}{
		{"empty", nil, "is damaged: its 0 bytes are neither a key nor a whole list of keys"},
		{"too short to be a key", make([]byte, 31), "is damaged: its 31 bytes are neither"},
		{"cut off", good[:len(good)/2], "are neither a key nor a whole list of keys"},
		{"another version", replace(`"version": 2`, `"version": 3`), "was written by another version of paputd: use that one, or a later one"},
		{"no version", []byte(`{"keys":[]}`), "another version"},
		{"a member too many", replace(`"version": 2`, `"version": 2, "more": 1`), "is damaged: it is no list of keys"},
		{"no keys", []byte(`{"version":2,"keys":[]}`), "is damaged: it is no list of keys"},
		{"a bit of a key", alter(func(d *keyDocument) { d.Keys[1].Key[7] ^= 1 }), "is damaged: key 2 is not what its id says"},
		{"a short key", alter(func(d *keyDocument) { d.Keys[0].Key = d.Keys[0].Key[1:] }), "is damaged: key 1 is not what its id says"},
		{"none in use", alter(func(d *keyDocument) { d.Keys = d.Keys[1:] }), "is damaged: the first key, and no other,"},
		{"two in use", alter(func(d *keyDocument) { d.Keys[1].Retired = time.Time{} }), "is damaged: the first key, and no other,"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(file, test.give, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := readKeys(file, keyStart)
			if err == nil || !strings.HasPrefix(err.Error(), file+" ") || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			if errors.Is(err, errKeyDamaged) && !strings.HasSuffix(err.Error(), "; restore it from a backup, or delete it: log-ins that are under way must then begin again") {
				t.Errorf("got %v, which does not say what to do", err)
			}
			for _, k := range keys {
				if raw, _ := json.Marshal(k.Key); strings.Contains(err.Error(), string(raw[1:9])) {
					t.Error("the error quotes a key")
				}
			}
			if content, _ := os.ReadFile(file); !bytes.Equal(content, test.give) {
				t.Error("the file was changed")
			}
		})
	}
}

// openKeeper returns a keeper on a data directory of its own, as when the server does not run, with a clock to set.
func openKeeper(t *testing.T, data string, now *time.Time) *keeper {
	t.Helper()
	cfg := config{data: data}
	events, err := openLog(t.Context(), &cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := events.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
		_ = events.Close()
	})
	k := newKeeper(cfg, events, slog.New(slog.DiscardHandler))
	k.now = func() time.Time { return *now }
	return k
}

// rotations lists what the log knows of the key.
func rotations(t *testing.T, events *eventlog.Log) (got []*serverv1.KeyRotated) {
	t.Helper()
	for r, err := range events.After(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Stream == keyStream {
			got = append(got, r.Event.(*serverv1.ServerEvent).GetKeyRotated())
		}
	}
	return got
}

func TestEarlierKeysHaveTheirTime(t *testing.T) {
	t.Parallel()
	data, now := t.TempDir(), keyStart
	k := openKeeper(t, data, &now)
	var used serverKeys
	k.use = func(keys serverKeys) error { used = keys; return nil }
	rotate := func(forget bool) error {
		_, err := k.RotateKey(t.Context(), &serverv1.RotateKeyRequest{Forget: forget})
		return err
	}
	want := func(n int) {
		t.Helper()
		onDisk, err := readKeys(filepath.Join(data, "server.key"), now)
		if err != nil || len(onDisk) != n || len(used) != n || len(k.keys) != n {
			t.Errorf("got %d keys in the file, %d in use, %v; want %d", len(onDisk), len(used), err, n)
		}
	}
	for i := range maxEarlierKeys {
		if err := rotate(false); err != nil {
			t.Fatal(err)
		}
		want(i + 2)
		now = now.Add(time.Minute)
	}
	if err := rotate(false); !errors.Is(err, errTooManyKeys) {
		t.Errorf("got %v, want %v", err, errTooManyKeys)
	}
	want(1 + maxEarlierKeys)
	now = keyStart.Add(15*time.Minute - time.Millisecond)
	if err := k.tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(1 + maxEarlierKeys)
	now = keyStart.Add(15 * time.Minute)
	if err := k.tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(maxEarlierKeys)
	if err := rotate(true); err != nil {
		t.Fatal(err)
	}
	want(1)
	said := rotations(t, k.events)
	if len(said) != maxEarlierKeys+1 {
		t.Fatalf("got %d events, want %d", len(said), maxEarlierKeys+1)
	}
	for i, e := range said {
		forgotten := i == maxEarlierKeys
		until := keyStart.Add(time.Duration(i)*time.Minute + 15*time.Minute)
		if i > 0 && e.GetPreviousKeyId() != said[i-1].GetKeyId() || (e.GetPreviousExpireTime() == nil) != forgotten ||
			!forgotten && !e.GetPreviousExpireTime().AsTime().Equal(until) {
			t.Errorf("event %d: got %v", i, e)
		}
	}
}

// TestRotationThatWasNotRecorded ends the program after the file was written and before the log was.
func TestRotationThatWasNotRecorded(t *testing.T) {
	t.Parallel()
	data, now := t.TempDir(), keyStart
	file := filepath.Join(data, "server.key")
	first, err := readKeys(file, now)
	if err != nil {
		t.Fatal(err)
	}
	second := first.rotated(now, false)
	if _, err := second.write(file); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour) // the earlier key has had its time
	k := openKeeper(t, data, &now)
	for range 2 {
		if err := k.tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := rotations(t, k.events)
	if len(got) != 1 || got[0].GetKeyId() != second[0].ID || got[0].GetPreviousKeyId() != first[0].ID ||
		!got[0].GetPreviousExpireTime().AsTime().Equal(keyStart.Add(15*time.Minute)) {
		t.Errorf("got %v, want one event of %s in place of %s", got, second[0].ID, first[0].ID)
	}
}

func TestKeyFileThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	server := start(t, data, false)
	before := mustPaputd(t, "key", "list", "--data", data)
	if err := os.MkdirAll(filepath.Join(data, "server.key.new", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := paputd(t.Context(), "key", "rotate", "--data", data)
	if err == nil || !strings.HasSuffix(err.Error(), "; the key is as it was") || !strings.HasPrefix(err.Error(), "write the server key "+data) {
		t.Errorf("got %v", err)
	}
	if after := mustPaputd(t, "key", "list", "--data", data); after != before {
		t.Errorf("got %s, want %s", after, before)
	}
	aiko := newVisitor(server)
	if err := aiko.SetUp(t.Context(), server.console); err != nil {
		t.Fatal(err)
	}
	logIn(t, aiko, "paput.read")
}

// refresh exchanges a refresh token.
func refresh(ctx context.Context, base, clientID, token string) (*visitor.Token, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {clientID}, "refresh_token": {token}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("refresh answered %d: %s", res.StatusCode, body), err)
	}
	next := &visitor.Token{}
	return next, json.Unmarshal(body, next)
}

// shareToken lets several processes use one grant, each going on with what it was given last, until stop is closed. They
// all refresh at the same time, so each round has one successor.
func shareToken(t *testing.T, base string, token *visitor.Token, stop <-chan struct{}) (rounds int) {
	for ; ; rounds++ {
		select {
		case <-stop:
			return rounds
		default:
		}
		got := make([]string, 4)
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() {
				next, err := refresh(t.Context(), base, token.ClientID, token.Refresh)
				if err != nil {
					t.Error(err)
					return
				}
				got[i] = next.Refresh
			})
		}
		all.Wait()
		if t.Failed() {
			return rounds
		}
		for _, successor := range got {
			if successor != got[0] {
				t.Error("one refresh token got two successors")
			}
		}
		token.Refresh = got[0]
	}
}

// TestRotationUnderLoad replaces the key several times while people log in and apps refresh. Nobody notices.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	const people, grants, times = 3, 2, 6
	data := t.TempDir()
	server := start(t, data, false)
	if err := newVisitor(server).SetUp(t.Context(), server.console); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	var logIns, refreshes atomic.Int64
	for i := range people {
		v := newVisitor(server)
		v.From(fmt.Sprintf("127.0.0.%d", 10+i)) // the pages are limited by address
		client, err := v.Register(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for n := 0; n < 15 && !t.Failed(); n++ {
				if _, err := v.Grant(t.Context(), client, "", "paput.read"); err != nil {
					t.Error(err)
				}
				logIns.Add(1)
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	holder := newVisitor(server)
	for range grants {
		token, err := holder.LogIn(t.Context(), "paput.read")
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() { refreshes.Add(int64(shareToken(t, server.url, token, stop))) })
	}
	for range times {
		time.Sleep(30 * time.Millisecond)
		mustPaputd(t, "key", "rotate", "--data", data)
	}
	time.Sleep(30 * time.Millisecond)
	close(stop)
	all.Wait()
	t.Logf("%d log-ins and %d rounds of refreshes across %d rotations", logIns.Load(), refreshes.Load(), times)
	if refreshes.Load() < times {
		t.Errorf("got %d rounds of refreshes, want some in between", refreshes.Load())
	}
	if out := mustPaputd(t, "key", "list", "--data", data); strings.Count(out, "honoured until") != times {
		t.Errorf("got %s, want %d earlier keys", out, times)
	}
}

// TestRotationWhileStopped stops the server under an open consent page and a refresh whose answer was lost.
func TestRotationWhileStopped(t *testing.T) {
	t.Parallel()
	for _, forget := range []bool{false, true} {
		t.Run(fmt.Sprintf("forget=%v", forget), func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			server := start(t, data, false)
			aiko := newVisitor(server)
			if err := aiko.SetUp(t.Context(), server.console); err != nil {
				t.Fatal(err)
			}
			token, err := aiko.LogIn(t.Context(), "paput.read")
			if err != nil {
				t.Fatal(err)
			}
			next, err := refresh(t.Context(), server.url, token.ClientID, token.Refresh)
			if err != nil {
				t.Fatal(err)
			}
			page := consentPage(t, aiko, token.ClientID)

			if err := server.stop(); err != nil {
				t.Fatal(err)
			}
			args := []string{"key", "rotate", "--data", data}
			if forget {
				args = append(args, "--forget")
			}
			mustPaputd(t, args...)
			again := start(t, data, false, func(c *config) { c.listen = "127.0.0.1" + server.url[strings.LastIndex(server.url, ":"):] })

			answer, err := aiko.Submit(t.Context(), page, url.Values{"decision": {"approve"}, "scope": {"paput.read"}})
			if err != nil {
				t.Fatal(err)
			}
			if allowed := answer.URL.Query().Get("code") != ""; allowed == forget {
				t.Errorf("got a code: %v, with status %d: %s", allowed, answer.Status, answer.HTML)
			}
			repeated, err := refresh(t.Context(), again.url, token.ClientID, token.Refresh)
			if forget && err == nil || !forget && (err != nil || repeated.Refresh != next.Refresh) {
				t.Errorf("repeated refresh: got %v, the same successor: %v", err, repeated != nil && repeated.Refresh == next.Refresh)
			}
			if _, err := refresh(t.Context(), again.url, token.ClientID, next.Refresh); err != nil {
				t.Errorf("who has the successor goes on: got %v", err)
			}
		})
	}
}

// consentPage begins a log-in and returns the page that asks.
func consentPage(t *testing.T, v *visitor.Visitor, clientID string) *visitor.Page {
	t.Helper()
	query := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {"http://127.0.0.1:49152/callback"}, "scope": {"paput.read"},
		"code_challenge_method": {"S256"}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},
	}
	page, err := v.Get(t.Context(), v.Base+"/authorize?"+query.Encode())
	if err != nil || page.URL.Path != "/consent" || page.Status != http.StatusOK {
		t.Fatalf("got %+v, %v, want the consent page", page, err)
	}
	return page
}

// TestConsentPageAcrossARotation leaves the page open while the key is replaced under the running server.
func TestConsentPageAcrossARotation(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	server := start(t, data, false)
	aiko := newVisitor(server)
	if err := aiko.SetUp(t.Context(), server.console); err != nil {
		t.Fatal(err)
	}
	client, err := aiko.Register(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, forget := range []bool{false, true} {
		page := consentPage(t, aiko, client)
		mustPaputd(t, "key", "rotate", "--data", data, fmt.Sprintf("--forget=%v", forget))
		answer, err := aiko.Submit(t.Context(), page, url.Values{"decision": {"approve"}, "scope": {"paput.read"}})
		if err != nil {
			t.Fatal(err)
		}
		if allowed := answer.URL.Query().Get("code") != ""; allowed == forget {
			t.Errorf("forget=%v: got a code: %v, with status %d: %s", forget, allowed, answer.Status, answer.HTML)
		}
	}
}
