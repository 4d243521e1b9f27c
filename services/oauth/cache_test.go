package oauth

import "testing"

func TestCacheForgetsWhatWasPurgedMeanwhile(t *testing.T) {
	t.Parallel()
	var c cache[int]
	_, ticket, _ := c.get("a")
	c.put("a", 1, ticket)
	if v, _, ok := c.get("a"); !ok || v != 1 {
		t.Errorf("got %d, %v, want 1", v, ok)
	}
	_, before, _ := c.get("b")
	c.purge(func(v int) bool { return v == 1 })
	if _, _, ok := c.get("a"); ok {
		t.Error("the entry is still there")
	}
	c.put("b", 2, before)
	if _, _, ok := c.get("b"); ok {
		t.Error("what was looked up before the purge was kept")
	}
	_, after, _ := c.get("b")
	c.put("b", 2, after)
	c.purge(func(v int) bool { return v == 1 })
	if _, _, ok := c.get("b"); !ok {
		t.Error("the purge took out another entry")
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	var c cache[int]
	for i := range 3 * maxCached {
		c.put(string(rune(i)), i, 0)
	}
	if n := len(c.entries); n > maxCached {
		t.Errorf("got %d entries, want at most %d", n, maxCached)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	l := newLimiter(1, 1)
	for i := range 3 * maxAddresses {
		l.reserve(string(rune(i)), start)
	}
	if n := len(l.byAddress); n > maxAddresses {
		t.Errorf("got %d addresses, want at most %d", n, maxAddresses)
	}
}
