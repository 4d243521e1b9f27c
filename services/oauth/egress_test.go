package oauth

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
)

func TestIsPublic(t *testing.T) {
	t.Parallel()
	for _, public := range []string{"1.1.1.1", "172.15.0.1", "172.32.0.1", "100.128.0.1", "223.255.255.255", "2606:4700::1111", "2a00::1", "::ffff:8.8.8.8"} {
		if !isPublic(netip.MustParseAddr(public)) {
			t.Errorf("%s is refused", public)
		}
	}
	for _, special := range []string{
		"0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
		"203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::808:808",
		"64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd12::1", "fe80::1",
		"fe80::1%lo", "2606:4700::1111%lo", "fec0::1", "ff02::1",
	} {
		if isPublic(netip.MustParseAddr(special)) {
			t.Errorf("%s is taken for public", special)
		}
	}
	if isPublic(netip.Addr{}) {
		t.Error("no address is taken for public")
	}
}

func TestRefuseSpecial(t *testing.T) {
	t.Parallel()
	if err := refuseSpecial("tcp4", "1.1.1.1:443", nil); err != nil {
		t.Errorf("a public address: got %v", err)
	}
	for _, to := range [][2]string{{"tcp4", "127.0.0.1:443"}, {"tcp6", "[::ffff:10.0.0.1]:443"}, {"tcp4", "1.1.1.1:80"}, {"udp4", "1.1.1.1:443"}, {"tcp4", "x"}} {
		if err := refuseSpecial(to[0], to[1], nil); err == nil {
			t.Errorf("%v is let through", to)
		}
	}
}

// resolveTo starts a name server that gives the answers in turn, the last for ever, whatever is asked.
func resolveTo(t *testing.T, answers ...string) (r *net.Resolver, asked *atomic.Int64) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked = &atomic.Int64{}
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		packet := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			end := 12
			for packet[end] != 0 {
				end += int(packet[end]) + 1
			}
			kind := binary.BigEndian.Uint16(packet[end+1:])
			reply := append([]byte{}, packet[:min(end+5, n)]...)
			copy(reply[2:12], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
			ip := netip.MustParseAddr(answers[min(int(asked.Load()), len(answers)-1)])
			if ip.Is4() && kind == 1 || ip.Is6() && kind == 28 {
				asked.Add(1)
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(ip.BitLen()/8))
				reply = append(reply, ip.AsSlice()...)
			}
			_, _ = conn.WriteTo(reply, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}, asked
}

// What a name resolves to when the connection is made is what counts: a name that was public a moment ago is no way in.
func TestEgressRefusesSpecialAddresses(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "fd00::1", "64:ff9b::7f00:1"} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			resolver, asked := resolveTo(t, answer)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, documentID, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := newEgress(resolver).RoundTrip(req)
			if res != nil {
				res.Body.Close()
			}
			if !errors.Is(err, errSpecialAddress) || asked.Load() == 0 {
				t.Errorf("got %v after %d questions, want %v", err, asked.Load(), errSpecialAddress)
			}
		})
	}
}

func TestEgressRefusesRebinding(t *testing.T) {
	t.Parallel()
	resolver, asked := resolveTo(t, "1.1.1.1", "127.0.0.1")
	first, err := resolver.LookupNetIP(t.Context(), "ip4", "app.example")
	if err != nil || len(first) != 1 || !isPublic(first[0]) {
		t.Fatalf("the first answer: got %v, %v", first, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, documentID, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := newEgress(resolver).RoundTrip(req)
	if res != nil {
		res.Body.Close()
	}
	if !errors.Is(err, errSpecialAddress) || asked.Load() < 2 {
		t.Errorf("got %v after %d answers, want %v", err, asked.Load(), errSpecialAddress)
	}
}

func TestEgressKnowsNoProxy(t *testing.T) {
	t.Parallel()
	if newEgress(nil).Proxy != nil {
		t.Error("there is a proxy, which would resolve names itself")
	}
}
