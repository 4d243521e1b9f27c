//go:build !race

package memo

import (
	"flag"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

var buried = flag.Int("buried", 0, "bury the labelled memos under this many newer ones of the same words, and measure what is still found")

// TestSearchQualityBuried runs the labelled queries in an account where the labelled memos are the oldest of very many. What
// a single word finds there says little: the others have it too.
func TestSearchQualityBuried(t *testing.T) {
	if *buried == 0 {
		t.Skip("takes long; run with -buried 20000")
	}
	memos := readLines[labelledMemo](t, "*.memos.jsonl")
	queries := readLines[labelledQuery](t, "*.queries.jsonl")
	s := scramblerOf(memos)
	var others []*memov1.MemoDraft
	for range *buried {
		others = append(others, s.draft())
	}
	engines := []engine{{"paput, buried", serviceEngine(t, memos, others...)}}
	results := []map[string]figures{engines[0].measure(t, queries, map[string][]string{})}
	t.Logf("%d memos, %d queries\n%s", len(memos)+len(others), len(queries), report(engines, results))
	judge(t, engines, results, buriedFloors())
}

// scrambler makes memos of the labelled memos' words, each as frequent as there, in an order that says nothing.
type scrambler struct {
	random            *rand.Rand
	japanese, english []string
}

// scrambled is a word as texts are made of: one in kanji brings what inflects it.
var scrambled = regexp.MustCompile(`[\p{Han}々]+\p{Hiragana}*|[\p{Katakana}ー]+|[\p{Latin}\p{N}_]+`)

func scramblerOf(memos []labelledMemo) *scrambler {
	s := &scrambler{random: rand.New(rand.NewPCG(1, 2))}
	isJapanese := regexp.MustCompile(`\p{Hiragana}`)
	for _, m := range memos {
		text := m.Title + "\n" + m.Summary + "\n" + m.Body
		into := &s.english
		if isJapanese.MatchString(text) {
			into = &s.japanese
		}
		*into = append(*into, scrambled.FindAllString(text, -1)...)
	}
	return s
}

func (s *scrambler) draft() *memov1.MemoDraft {
	words := s.japanese
	if s.random.IntN(3) == 0 {
		words = s.english
	}
	return draftOf(s.text(words, 4+s.random.IntN(6)), s.text(words, 30+s.random.IntN(60)))
}

// text has n of the words.
func (s *scrambler) text(words []string, n int) string {
	var b strings.Builder
	wasLatin := false
	for i := range n {
		word := words[s.random.IntN(len(words))]
		isLatin := word[0] < 0x80
		switch {
		case isLatin && wasLatin:
			b.WriteByte(' ')
		case i%9 == 8 && !isLatin:
			b.WriteString("。")
		}
		b.WriteString(word)
		wasLatin = isLatin
	}
	return b.String()
}

// buriedFloors are as qualityFloors, with the memos under 20 000 others.
func buriedFloors() map[string]floor {
	return map[string]floor{
		"total":           {0.80, 0.78},
		"split dev":       {0.80, 0.78},
		"split test":      {0.80, 0.77},
		"lang en":         {0.78, 0.73},
		"lang ja":         {0.75, 0.75},
		"lang mixed":      {0.86, 0.87},
		"kind word":       {0.67, 0.75},
		"kind words":      {0.87, 0.89},
		"kind question":   {0.86, 0.94},
		"kind identifier": {0.77, 0.63},
		"kind variant":    {0.76, 0.74},
		"kind mixed":      {0.87, 0.91},
		"kind short":      {0.71, 0.57},
		"kind paraphrase": {0.70, 0.63},
	}
}
