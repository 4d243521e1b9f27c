package web

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

func TestParseProxies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		give []string
		want []string
		err  string
	}{
		{},
		{give: []string{"127.0.0.1", " 10.0.0.0/8", "::1", "fd00::/8"}, want: []string{"127.0.0.1/32", "10.0.0.0/8", "::1/128", "fd00::/8"}},
		{give: []string{"10.1.2.3/8"}, want: []string{"10.0.0.0/8"}},
		{give: []string{"::ffff:10.0.0.0/104", "::ffff:10.0.0.1"}, want: []string{"10.0.0.0/8", "10.0.0.1/32"}},
		{give: []string{"0.0.0.0/0"}, err: "0.0.0.0/0 is everybody: name the proxies alone, or anyone can claim any address"},
		{give: []string{"::/0"}, err: "::/0 is everybody: name the proxies alone, or anyone can claim any address"},
		{give: []string{"::ffff:0.0.0.0/96"}, err: "::ffff:0.0.0.0/96 is everybody: name the proxies alone, or anyone can claim any address"},
		{give: []string{"proxy.internal"}, err: `"proxy.internal" is neither an address nor a network: write 127.0.0.1 or 10.0.0.0/8`},
		{give: []string{""}, err: `"" is neither an address nor a network: write 127.0.0.1 or 10.0.0.0/8`},
		{give: []string{"10.0.0.0/33"}, err: `"10.0.0.0/33" is neither an address nor a network: write 127.0.0.1 or 10.0.0.0/8`},
		{give: []string{"fe80::1%eth0"}, err: `"fe80::1%eth0" is neither an address nor a network: write 127.0.0.1 or 10.0.0.0/8`},
	} {
		proxies, err := ParseProxies(test.give)
		var got []string
		for _, p := range proxies {
			got = append(got, p.String())
		}
		if !slices.Equal(got, test.want) || (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("%q: got %q, %v, want %q, %s", test.give, got, err, test.want, test.err)
		}
	}
}

func TestWhoTheClientIs(t *testing.T) {
	t.Parallel()
	proxies, err := ParseProxies([]string{"127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	const peer = "127.0.0.1:4711"
	for _, test := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"nothing said", peer, nil, peer},
		{"one client", peer, []string{"203.0.113.7"}, "203.0.113.7:0"},
		{"a peer that is no proxy", "192.0.2.1:1", []string{"203.0.113.7"}, "192.0.2.1:1"},
		{"another address of loopback", "127.0.0.2:1", []string{"203.0.113.7"}, "127.0.0.2:1"},
		{"what the client wrote before", peer, []string{"198.51.100.1, 203.0.113.7"}, "203.0.113.7:0"},
		{"it pretends to be a proxy of ours", peer, []string{"203.0.113.9, 10.0.0.1, 203.0.113.7"}, "203.0.113.7:0"},
		{"it writes nonsense before", peer, []string{"nonsense, 203.0.113.7"}, "203.0.113.7:0"},
		{"through two proxies", peer, []string{"203.0.113.7, 10.1.1.1"}, "203.0.113.7:0"},
		{"in two headers", peer, []string{"198.51.100.1, 203.0.113.7", "10.1.1.1"}, "203.0.113.7:0"},
		{"the last header counts", peer, []string{"198.51.100.1", "203.0.113.7"}, "203.0.113.7:0"},
		{"no white space", peer, []string{"198.51.100.1,203.0.113.7,10.0.0.1"}, "203.0.113.7:0"},
		{"a tab", peer, []string{"198.51.100.1,\t203.0.113.7\t"}, "203.0.113.7:0"},
		{"with a port", peer, []string{"203.0.113.7:55555"}, "203.0.113.7:0"},
		{"IPv6", peer, []string{"2001:db8::7"}, "[2001:db8::7]:0"},
		{"IPv6 in brackets", peer, []string{"[2001:db8::7]"}, "[2001:db8::7]:0"},
		{"IPv6 with a port", peer, []string{"[2001:db8::7]:55555"}, "[2001:db8::7]:0"},
		{"IPv6 with a zone", peer, []string{"fe80::7%eth0"}, "[fe80::7]:0"},
		{"IPv4 as IPv6", peer, []string{"::ffff:203.0.113.7"}, "203.0.113.7:0"},
		{"a proxy as IPv6", peer, []string{"203.0.113.7, ::ffff:10.0.0.1"}, "203.0.113.7:0"},
		{"a proxy with a zone", peer, []string{"203.0.113.7, fd00::1%eth0"}, "203.0.113.7:0"},
		{"a peer in IPv6", "[::1]:4711", []string{"203.0.113.7"}, "203.0.113.7:0"},
		{"a peer with IPv4 as IPv6", "[::ffff:127.0.0.1]:4711", []string{"203.0.113.7"}, "203.0.113.7:0"},
		{"a peer with a zone", "[fd00::1%eth0]:4711", []string{"203.0.113.7"}, "203.0.113.7:0"},
		{"only proxies", peer, []string{"10.0.0.1, 10.0.0.2"}, peer},
		{"empty", peer, []string{""}, peer},
		{"ends with nothing", peer, []string{"203.0.113.7,"}, peer},
		{"ends with nonsense", peer, []string{"203.0.113.7, nonsense"}, peer},
		{"a proxy, then nonsense", peer, []string{"203.0.113.7, unknown, 10.0.0.1"}, peer},
		{"half a bracket", peer, []string{"[2001:db8::7"}, peer},
		{"a name with a port", peer, []string{"example.com:80"}, peer},
		{"a number", peer, []string{"3405803783"}, peer},
		{"leading zeros", peer, []string{"203.000.113.007"}, peer},
		{"a peer without an address", "@", []string{"203.0.113.7"}, "@"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			h := Config{TrustedProxies: proxies}.direct(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = r.RemoteAddr
			}))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = test.peer
			r.Header["X-Forwarded-For"] = test.forwarded
			h.ServeHTTP(httptest.NewRecorder(), r)
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if r.RemoteAddr != test.peer || len(r.Header["X-Forwarded-For"]) != len(test.forwarded) {
				t.Error("the request itself was changed")
			}
		})
	}
}

// TestForwardedHeadersGoNoFurther sees to it that nothing behind the door can believe them, whoever sent them.
func TestForwardedHeadersGoNoFurther(t *testing.T) {
	t.Parallel()
	proxies, err := ParseProxies([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, peer := range []string{"127.0.0.1:1", "192.0.2.1:1"} {
		for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-IP"} {
			var got *http.Request
			h := Config{TrustedProxies: proxies}.direct(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
			r := httptest.NewRequest(http.MethodGet, "http://paput.example/", nil)
			r.RemoteAddr = peer
			r.Header.Set(name, "for=203.0.113.7;host=evil.example;proto=https")
			r.Header.Set("Accept", "text/html")
			h.ServeHTTP(httptest.NewRecorder(), r)
			if got.Header.Get(name) != "" || got.Header.Get("Accept") == "" || got.RemoteAddr != peer || got.Host != "paput.example" {
				t.Errorf("%s from %s: got %v from %s for %s", name, peer, got.Header, got.RemoteAddr, got.Host)
			}
		}
	}
}
