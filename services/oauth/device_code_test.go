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
	const draws = 5000
	var count [userCodeLength][256]int
	for range draws {
		code := newUserCode()
		if parsed, ok := parseUserCode(showUserCode(code)); !ok || parsed != code {
			t.Fatalf("got %q, which reads as %q", code, parsed)
		}
		for i := range len(code) {
			count[i][code[i]]++
		}
	}
	// Each letter is expected 250 times in each place; four in a million places are off by more than 75.
	for i := range count {
		for _, letter := range []byte(userCodeLetters) {
			if n := count[i][letter]; n < 160 || n > 340 {
				t.Errorf("letter %c stands %d times in place %d, want about %d", letter, n, i, draws/len(userCodeLetters))
			}
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
