package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"connectrpc.com/connect/v2"

	oauthv1 "github.com/paput/paput/proto/gen/paput/oauth/v1"
)

// rememberedOutcomes are of people who are not asked again.
func rememberedOutcomes() []outcome {
	again := func(change func(s *scene, a *app), pairs ...string) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			a := s.registerWeb()
			a.token(a.redeemForm(a.code(s.browser))).tokens(s)
			if change != nil {
				change(s, a)
			}
			return func() reply { return s.browser.get("/authorize?" + a.query(pairs...).Encode()) }
		}
	}
	granted := []string{"grant.consent_granted", "grant.code_issued"}
	return []outcome{
		{"authorize", "remembered", again(nil), "Found to the app, code", granted},
		{"authorize", "remembered, prompt=none", again(nil, "prompt", "none"), "Found to the app, code", granted},
		{"authorize", "remembered, more asked", again(nil, "scope", "paput.publish"), "Found to /consent", nothing()},
		{"authorize", "remembered, to be asked again", again(nil, "prompt", "consent"), "Found to /consent", nothing()},
		{"authorize", "remembered of somebody else", again(func(s *scene, _ *app) { s.browser.signIn("acct_2") }), "Found to /consent", nothing()},
	}
}

// serviceOutcomes are of clients that act by themselves, and of servers that ask what tokens are worth.
func serviceOutcomes() []outcome {
	service := func(change func(a *app), pairs ...string) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			a := s.enroll()
			if change != nil {
				change(a)
			}
			return func() reply { return a.token(serviceForm(pairs...)) }
		}
	}
	introspect := func(token func(s *scene) string) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			server, presented := s.enroll(serverOf(notesResource)), token(s)
			return func() reply { return server.introspect(presented) }
		}
	}
	good := func(s *scene) string { return s.login("acct_1", "resource", notesResource).access }
	return []outcome{
		{"client_credentials", "right", service(nil), "OK", []string{"grant.client_credentials_granted"}},
		{"client_credentials", "more scope", service(nil, "scope", "paput.audit"), "Bad Request, invalid_scope", nothing()},
		{"client_credentials", "another account", service(nil, "account", "acct_9"), "Bad Request, invalid_request", nothing()},
		{"client_credentials", "another resource", service(nil, "resource", "https://evil.example"), "Bad Request, invalid_target", nothing()},
		{"client_credentials", "wrong secret", service(func(a *app) { a.secret = "wrong" }), "Unauthorized, invalid_client", nothing()},
		{"introspect", "a good token", introspect(func(s *scene) string {
			s.enroll(serverOf(notesResource))
			return good(s)
		}), "OK", nothing()},
		{"introspect", "a token for another resource", introspect(func(s *scene) string { return s.login("acct_1").access }), "OK", nothing()},
		{"introspect", "no token of ours", introspect(func(*scene) string { return "x" }), "OK", nothing()},
		{"introspect", "a client that is no server", func(s *scene) func() reply {
			token := s.login("acct_1").access
			return func() reply { return s.introspect(token) }
		}, "Unauthorized, invalid_client", nothing()},
	}
}

// deviceOutcomes are of devices without a browser, and of the people who let them in.
func deviceOutcomes() []outcome {
	begin := func(pairs ...string) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			a := s.registerDevice()
			return func() reply {
				return a.call("/device_authorization", alter(url.Values{"scope": {"paput.read"}}, pairs))
			}
		}
	}
	answer := func(decision string, change func(s *scene, d pendingDevice, form url.Values)) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			d := s.registerDevice().ask()
			form := s.browser.consentForm(devicePage(d.shown), decision)
			if change != nil {
				change(s, d, form)
			}
			return func() reply { return s.browser.post("/device", form) }
		}
	}
	poll := func(change func(s *scene, d pendingDevice)) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			d := s.registerDevice().ask()
			if change != nil {
				change(s, d)
			}
			return func() reply { return d.poll() }
		}
	}
	decided := func(decision string) func(*scene, pendingDevice) {
		return func(s *scene, d pendingDevice) { s.browser.answer(d, decision) }
	}
	return []outcome{
		{"device", "begun", begin(), "OK", []string{"grant.device_authorization_requested"}},
		{"device", "unknown scopes", begin("scope", "admin"), "Bad Request, invalid_scope", nothing()},
		{"device", "unknown resource", begin("resource", "https://evil.example"), "Bad Request, invalid_target", nothing()},
		{"device", "begun by a client without the grant type", func(s *scene) func() reply {
			return func() reply { return s.call("/device_authorization", url.Values{}) }
		}, "Bad Request, unauthorized_client", nothing()},
		{"device", "the page", func(s *scene) func() reply {
			d := s.registerDevice().ask()
			return func() reply { return s.browser.get(devicePage(d.shown)) }
		}, "OK", nothing()},
		{"device", "a wrong user code", func(s *scene) func() reply {
			return func() reply { return s.browser.get(devicePage("BBBB-BBBB")) }
		}, "Bad Request, page invalid_request", nothing()},
		{"device", "yes", answer("approve", nil), "OK", []string{"grant.consent_granted"}},
		{"device", "no", answer("deny", nil), "OK", []string{"grant.consent_denied"}},
		{"device", "yes to nothing", answer("approve", func(_ *scene, _ pendingDevice, f url.Values) { f.Del("scope") }), "Bad Request", nothing()},
		{"device", "a forged form", answer("approve", func(_ *scene, _ pendingDevice, f url.Values) { f.Set("csrf", "x") }), "Forbidden, page invalid_request", nothing()},
		{"device", "yes after no", answer("approve", func(s *scene, d pendingDevice, _ url.Values) { s.browser.answer(d, "deny") }), "Bad Request, page invalid_request", nothing()},
		{"device", "yes too late", answer("approve", func(s *scene, _ pendingDevice, _ url.Values) { s.advance(10 * time.Minute) }), "Bad Request, page invalid_request", nothing()},
		{"device", "polled, no answer yet", poll(nil), "Bad Request, authorization_pending", nothing()},
		{"device", "polled too soon", poll(func(_ *scene, d pendingDevice) { d.poll() }), "Bad Request, slow_down", nothing()},
		{"device", "polled after yes", poll(decided("approve")), "OK", []string{"grant.device_code_redeemed"}},
		{"device", "polled after no", poll(decided("deny")), "Bad Request, access_denied", nothing()},
		{"device", "polled too late", poll(func(s *scene, _ pendingDevice) { s.advance(10 * time.Minute) }), "Bad Request, expired_token", nothing()},
		{"device", "polled with an unknown code", func(s *scene) func() reply {
			d := s.registerDevice().ask()
			d.code = "paput_dc_" + strings.Repeat("A", 54)
			return func() reply { return d.poll() }
		}, "Bad Request, invalid_grant", nothing()},
		{"device", "polled again after the tokens", poll(func(s *scene, d pendingDevice) {
			s.browser.answer(d, "approve")
			d.poll()
			s.advance(time.Minute)
		}), "Bad Request, invalid_grant", nothing()},
		{"device", "polled by another client", func(s *scene) func() reply {
			d := s.registerDevice().ask()
			s.browser.answer(d, "approve")
			d.app = s.registerDevice()
			return func() reply { return d.poll() }
		}, "Bad Request, invalid_grant", nothing()},
	}
}

// adminOutcomes are of what the administrator does, which is asked for on a socket of its own.
func adminOutcomes() []outcome {
	call := func(do func(s *scene, a *app) error) func(s *scene) func() reply {
		return func(s *scene) func() reply {
			a := s.preregister(&oauthv1.Client{})
			return func() reply {
				if err := do(s, a); err != nil {
					return reply{status: http.StatusBadRequest, body: `{"error":"` + connect.CodeOf(err).String() + `"}`}
				}
				return reply{status: http.StatusOK}
			}
		}
	}
	remove := func(s *scene, id string) error {
		_, err := s.admin().RemoveClient(s.Context(), &oauthv1.RemoveClientRequest{ClientId: id})
		return err
	}
	rotate := func(s *scene, id string) error {
		_, err := s.admin().RotateClientSecret(s.Context(), &oauthv1.RotateClientSecretRequest{ClientId: id})
		return err
	}
	return []outcome{
		{"administration", "a client is registered", call(func(s *scene, _ *app) error { s.preregister(&oauthv1.Client{}); return nil }), "OK", []string{"client.registered"}},
		{"administration", "a bad registration", call(func(s *scene, _ *app) error {
			_, err := s.admin().CreateClient(s.Context(), &oauthv1.CreateClientRequest{Client: &oauthv1.Client{Name: "x", AuthMethod: "tls"}})
			return err
		}), "Bad Request, invalid_argument", nothing()},
		{"administration", "a secret is rotated", call(func(s *scene, a *app) error { return rotate(s, a.id) }), "OK", []string{"client.secret_rotated"}},
		{"administration", "a secret of nobody is rotated", call(func(s *scene, _ *app) error { return rotate(s, "client_999") }), "Bad Request, not_found", nothing()},
		{"administration", "a client is removed", call(func(s *scene, a *app) error { return remove(s, a.id) }), "OK", []string{"client.removed"}},
		{"administration", "a client with a grant is removed", func(s *scene) func() reply {
			a := s.preregister(&oauthv1.Client{})
			a.login("acct_1")
			return func() reply {
				if err := remove(s, a.id); err != nil {
					s.Error(err)
				}
				return reply{status: http.StatusOK}
			}
		}, "OK", []string{"grant.revoked", "client.removed"}},
		{"administration", "nobody is removed", call(func(s *scene, _ *app) error { return remove(s, "client_999") }), "Bad Request, not_found", nothing()},
		{"administration", "the key is replaced", call(func(s *scene, _ *app) error {
			return s.server.UseKeys([]byte(strings.Repeat("k", 32)))
		}), "OK", nothing()},
	}
}
