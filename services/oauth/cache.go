package oauth

import "sync"

// maxCached is how many entries a cache holds before it starts again.
const maxCached = 16_384

// cache remembers what was looked up. What a purge has taken out can not come back from a lookup that began before it: a
// lookup takes a ticket first, and put ignores what was found with an old one.
type cache[V any] struct {
	mu sync.RWMutex
	// entries and the generation of the last purge; guarded by mu.
	entries    map[string]V
	generation uint64
}

// get returns the entry, or a ticket for the lookup that finds it.
func (c *cache[V]) get(key string) (v V, ticket uint64, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok = c.entries[key]
	return v, c.generation, ok
}

// put keeps what a lookup with the ticket has found.
func (c *cache[V]) put(key string, v V, ticket uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ticket != c.generation {
		return
	}
	if c.entries == nil || len(c.entries) >= maxCached {
		c.entries = make(map[string]V)
	}
	c.entries[key] = v
}

// purge takes out all entries that the condition holds for.
func (c *cache[V]) purge(condition func(V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	for key, v := range c.entries {
		if condition(v) {
			delete(c.entries, key)
		}
	}
}
