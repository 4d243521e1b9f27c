package memo

import (
	"fmt"
	"slices"
	"testing"

	"connectrpc.com/connect/v2"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

func TestCategoriesComeInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var drafts []*memov1.MemoDraft
	for i := range 60 {
		// Each third category has two memos.
		drafts = append(drafts, &memov1.MemoDraft{Title: "m", Categories: []string{fmt.Sprintf("c%02d", i), fmt.Sprintf("c%02d", i/3*3+60), fmt.Sprintf("d%d", i)}})
	}
	w.create(t, "alice", drafts...)
	w.create(t, "bob", &memov1.MemoDraft{Title: "m", Categories: []string{"bob's"}})
	whole, err := w.ListCategories(as(t, "alice"), &memov1.ListCategoriesRequest{})
	if err != nil || len(whole.GetCategories()) != 100 || whole.GetNextPageToken() == "" {
		t.Fatalf("got %d categories and the token %q, %v, want 100 and more", len(whole.GetCategories()), whole.GetNextPageToken(), err)
	}
	for _, size := range []int32{1, 7, 100} {
		var names []string
		req := &memov1.ListCategoriesRequest{PageSize: size}
		for {
			res, err := w.ListCategories(as(t, "alice"), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range res.GetCategories() {
				names = append(names, fmt.Sprintf("%05d %s", 10000-c.GetMemoCount(), c.GetName()))
			}
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if len(names) != 140 || !slices.IsSorted(names) || len(slices.Compact(names)) != 140 {
			t.Errorf("pages of %d: got %d categories, sorted %t, want 140, each once, in order", size, len(names), slices.IsSorted(names))
		}
	}
	_, err = w.ListCategories(as(t, "bob"), &memov1.ListCategoriesRequest{PageToken: whole.GetNextPageToken()})
	wantCode(t, err, connect.CodeInvalidArgument, "page_token belongs to other arguments")
}

// BenchmarkManyCategories uses an account of as many categories as somebody can make who means no good.
func BenchmarkManyCategories(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		w := newWorld(b)
		for from := 0; from < n; from += 2000 {
			var drafts []*memov1.MemoDraft
			for i := from; i < min(from+2000, n); i += 20 {
				d := &memov1.MemoDraft{Title: "title", Body: "common words"}
				for j := range 20 {
					d.Categories = append(d.Categories, fmt.Sprintf("category %d", i+j))
				}
				drafts = append(drafts, d)
			}
			w.create(b, "alice", drafts...)
		}
		last := fmt.Sprintf("category %d", n-1)
		for _, call := range []struct {
			name string
			do   func() error
		}{
			{"list", func() error {
				_, err := w.ListCategories(as(b, "alice"), &memov1.ListCategoriesRequest{})
				return err
			}},
			{"search by one", func() error {
				_, err := w.SearchMemos(as(b, "alice"), &memov1.SearchMemosRequest{Categories: []string{last}})
				return err
			}},
			{"search by one with words", func() error {
				_, err := w.SearchMemos(as(b, "alice"), &memov1.SearchMemosRequest{Query: "common", Categories: []string{last}})
				return err
			}},
			{"search by one that is none", func() error {
				_, err := w.SearchMemos(as(b, "alice"), &memov1.SearchMemosRequest{Query: "common", Categories: []string{"catgory 7"}})
				return err
			}},
			{"create with one", func() error {
				_, err := w.CreateMemos(as(b, "alice"), &memov1.CreateMemosRequest{Memos: []*memov1.MemoDraft{{Title: "t", Categories: []string{last}}}})
				return err
			}},
		} {
			b.Run(fmt.Sprintf("%d/%s", n, call.name), func(b *testing.B) {
				for b.Loop() {
					if err := call.do(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
