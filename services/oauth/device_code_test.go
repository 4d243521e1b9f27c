package oauth

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestNewUserCode(t *testing.T) {
	t.Parallel()
	const draws, want = 50_000, 50_000 * userCodeLength / len(userCodeLetters)
	var count [256]int
	for range draws {
		code := newUserCode()
		if parsed, ok := parseUserCode(showUserCode(code)); !ok || parsed != code {
			t.Fatalf("got %q, which reads as %q", code, parsed)
		}
		for i := range len(code) {
			count[code[i]]++
		}
	}
	// The standard deviation is 138. With every byte taken, some letters would come 1250 times too rarely.
	for _, letter := range []byte(userCodeLetters) {
		if n := count[letter]; n < want-900 || n > want+900 {
			t.Errorf("got letter %c %d times, want about %d", letter, n, want)
		}
	}
}

func TestChooseUserCode(t *testing.T) {
	t.Parallel()
	taken := func(codes ...string) func([]byte) (bool, error) {
		return func(hash []byte) (bool, error) {
			return slices.ContainsFunc(codes, func(c string) bool { return slices.Equal(hashSecret(c), hash) }), nil
		}
	}
	drawn := []string{"BBBBBBBB", "CCCCCCCC"}
	for _, tt := range []struct {
		name  string
		taken []string
		want  string
	}{
		{"the first is free", nil, "BBBBBBBB"},
		{"the first is another's", drawn[:1], "CCCCCCCC"},
		{"each is another's", drawn, ""},
	} {
		if got, err := chooseUserCode(drawn, taken(tt.taken...)); got != tt.want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
	broken := errors.New("broken")
	if _, err := chooseUserCode(drawn, func([]byte) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want the error", err)
	}
}

func FuzzParseUserCode(f *testing.F) {
	for _, seed := range []string{"WDJB-MJHT", "wdjbmjht", "ＷＤＪＢーＭＪＨＴ", " w d j b m j h t ", "WDJB—MJHT", "", "ÀÉ", "\xff\xfe", "ｗｄｊｂ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := parseUserCode(typed)
		if !ok {
			return
		}
		if len(code) != userCodeLength || strings.Trim(code, userCodeLetters) != "" {
			t.Errorf("%s reads as %q", hex.EncodeToString([]byte(typed)), code)
		}
		if again, ok := parseUserCode(showUserCode(code)); !ok || again != code {
			t.Errorf("%q reads as %q", showUserCode(code), again)
		}
	})
}
