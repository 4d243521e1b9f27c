package memo

import (
	"fmt"
	"slices"
	"testing"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// crowded is an account in which more memos than are common have each of some words, but no two of them, under which those
// given are buried.
func crowded(t *testing.T, words []string, drafts ...*memov1.MemoDraft) (w *world, buried []string) {
	t.Helper()
	w = newWorld(t)
	buried = w.create(t, "alice", drafts...)
	var others []*memov1.MemoDraft
	for i := range maxCommon + 50 {
		for _, word := range words {
			others = append(others, draftOf(fmt.Sprintf("Entry %d", i), "Something about the "+word+"."))
		}
	}
	for hundred := range slices.Chunk(others, 100) {
		w.create(t, "alice", hundred...)
	}
	return w, buried
}

// TestQuestionsFindOldMemos asks with words that each many newer memos have.
func TestQuestionsFindOldMemos(t *testing.T) {
	t.Parallel()
	w, buried := crowded(
		t, []string{"session", "cache", "gateway"},
		draftOf("Sticky sessions", "Behind the gateway a session found its cache cold after each deployment, so quokka went."),
		draftOf("Animals", "We went to see a quokka."),
		draftOf("Cold start", "A gateway with a cold cache."),
	)
	for _, tt := range []struct {
		name, query string
		want        []string
	}{
		{"common words", "why does a session behind our gateway lose what is in its cache", buried[:1]},
		{"a rare word, and common ones that only the older memo has", "was quokka in the gateway or in a cache of the cluster", buried[:2]},
		{"the second and the third of common words", "what does a session want of the gateway and its cache", []string{buried[0], buried[2]}},
		{"words that no memo has", "why did we move the session store away from the gateway", buried[:1]},
	} {
		got := w.find(t, "alice", &memov1.SearchMemosRequest{Query: tt.query})
		if len(got) < len(tt.want) || !slices.Equal(got[:len(tt.want)], tt.want) {
			t.Errorf("%s: got %v, want %v first", tt.name, got[:min(len(got), 3)], tt.want)
		}
	}
}

// TestOnlyWeakClues asks with hiragana and with words of grammar alone, which say little unless there is nothing else.
func TestOnlyWeakClues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.create(t, "alice", draftOf("おにぎり", ""), draftOf("To be", ""))
	w.create(t, "alice", slices.Repeat([]*memov1.MemoDraft{draftOf("別の題", "関わりのない話")}, 40)...)
	for i, query := range []string{"おにぎりとおみそしる", "how is it to be with them"} {
		if got := w.find(t, "alice", &memov1.SearchMemosRequest{Query: query}); !slices.Equal(got, ids[i:i+1]) {
			t.Errorf("%q: got %v, want %v", query, got, ids[i:i+1])
		}
	}
}

// TestCommonCluesTogether looks for old memos by clues that are too common for their older memos to be looked up.
func TestCommonCluesTogether(t *testing.T) {
	t.Parallel()
	words := []string{"session", "cache", "gateway", "queue"}
	w, _ := crowded(t, words, draftOf("One", "The cache has a queue."), draftOf("Two", "A session and its queue in the gateway."))
	err := w.service.snapshot(t.Context(), func(q querier) error {
		account, err := accountNumber(q, "alice")
		if err != nil {
			return err
		}
		g := &gathering{search: search{querier: q, filter: filter{account: account}}, pin: 1 << 40, seen: make([]int64, len(words))}
		for _, word := range words {
			clues, _ := cluesOf(word)
			g.clues, g.stems = append(g.clues, clues...), append(g.stems, word)
		}
		if err := g.countMemos(); err != nil {
			return err
		}
		common, err := g.newest()
		if err != nil {
			return err
		}
		if len(common) != len(words) || len(g.known) != len(words)*maxCommon {
			t.Errorf("got %d common clues and %d memos with one, want %d and %d", len(common), len(g.known), len(words), len(words)*maxCommon)
		}
		if err := g.together(common); err != nil {
			return err
		}
		// The clues are looked for by twos: session with cache, and gateway with queue.
		last := g.known[len(g.known)-1]
		finds, err := g.finds([]int64{last.n})
		if err != nil {
			return err
		}
		if len(g.known) != len(words)*maxCommon+1 || last.has != 0b1100 || len(finds) != 1 {
			t.Fatalf("got %d memos more, the last with clues %b and %d texts, want 1 with clues 1100 and a text", len(g.known)-len(words)*maxCommon, last.has, len(finds))
		}
		if got, _ := g.cluesIn(finds[0], last.has); len(got) != 3 {
			t.Errorf("its text has %d of the clues, want 3", len(got))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
