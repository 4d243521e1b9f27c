package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/paput/paput/deploy/visitor"
)

// perAddress is how often an address is used before the next: the server lets one address do sixty of the dearest things at
// once.
const perAddress = 25

// addresses counts the addresses that were given out.
type addresses struct{ atomic.Uint32 }

// next returns an address of this machine that nobody has had.
func (a *addresses) next() string {
	n := a.Add(1)
	return fmt.Sprintf("127.%d.%d.%d", 16+n>>16, n>>8&255, n&255)
}

// stranger asks from an address of its own, and from another before the server's limits say anything. It is for one
// caller.
type stranger struct {
	from *addresses
	used int
	http *http.Client
}

func (s *stranger) client() *http.Client {
	if s.http == nil || s.used == perAddress {
		if s.http != nil {
			s.http.CloseIdleConnections()
		}
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(s.from.next())}}
		s.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, to string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(to)
			if err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, "tcp4", "127.0.0.1:"+port)
		}}}
		s.used = 0
	}
	s.used++
	return s.http
}

// registerCalls register clients, no two of which are equal.
func registerCalls(_ context.Context, p *process, n int) ([]func(context.Context) error, error) {
	calls := make([]func(context.Context) error, n)
	for i := range calls {
		s := &stranger{from: &p.addresses}
		calls[i] = func(ctx context.Context) error {
			body := fmt.Sprintf(`{"client_name":"Bench %d","redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none"}`, p.names.Add(1))
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/register", strings.NewReader(body))
			if err != nil {
				return err
			}
			req.Header.Set("Content-Type", "application/json")
			res, err := s.client().Do(req)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			answer, err := io.ReadAll(res.Body)
			if err == nil && res.StatusCode != http.StatusCreated {
				err = fmt.Errorf("registration answered %d: %s", res.StatusCode, answer)
			}
			return err
		}
	}
	return calls, nil
}

// logInCalls go from the authorization endpoint over the consent page to tokens, in a browser that is signed in.
func logInCalls(ctx context.Context, p *process, n int) ([]func(context.Context) error, error) {
	calls := make([]func(context.Context) error, n)
	for i := range calls {
		person := p.visitor(i)
		if _, err := person.Grant(ctx, p.token.ClientID, p.url, "paput.read"); err != nil {
			return nil, err
		}
		used := 0
		calls[i] = func(ctx context.Context) error {
			if used++; used%(perAddress/2) == 0 {
				person.From(p.addresses.next())
			}
			_, err := person.Grant(ctx, p.token.ClientID, p.url, "paput.read")
			return err
		}
	}
	return calls, nil
}

// signInCalls do the same in a browser that nobody has used, so that a password is checked each time. Whoever is asked to
// come back later does so at once, and that time counts.
func signInCalls(_ context.Context, p *process, n int) ([]func(context.Context) error, error) {
	calls := make([]func(context.Context) error, n)
	for i := range calls {
		calls[i] = func(ctx context.Context) error {
			person := p.visitor(i)
			defer person.Leave()
			for {
				if _, err := person.Grant(ctx, p.token.ClientID, p.url, "paput.read"); !errors.Is(err, visitor.ErrBusy) {
					return err
				}
			}
		}
	}
	return calls, nil
}
