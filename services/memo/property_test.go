package memo

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"pgregory.net/rapid"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// TestMain keeps the tests short; -rapid.checks=1000 on the command line still counts.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "30"); err != nil {
		panic(err)
	}
	m.Run()
}

// vocabulary are words of which none is found in another.
func vocabulary() []string {
	return []string{"認証", "検査", "移行", "鍵", "token", "redirect_uri", "ふたつ", "🚀"}
}

// model is what a memo should be, kept in the simplest way.
type model struct {
	account string
	memo    *memov1.Memo
	trashed time.Time // meaningful in the trash only
}

// TestRandomCommands runs random commands on the service and on a model. Everything that can be read must agree after each,
// and after the read model was built anew from the log.
func TestRandomCommands(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		m := &machine{T: r, world: newWorld(t), memos: map[string]*model{}, notes: map[string]*modelNote{}, caches: map[string]*cache{"alice": newCache(), "bob": newCache()}}
		for range rapid.IntRange(1, 20).Draw(r, "commands") {
			switch rapid.IntRange(0, 21).Draw(r, "command") {
			case 0, 1, 2, 3:
				m.create()
			case 4, 5, 6:
				m.update()
			case 7, 8:
				m.moveToTrash()
			case 9:
				m.moveBack()
			case 10, 11:
				m.publish()
			case 12:
				m.unpublish()
			case 13:
				m.createNote()
			case 14:
				m.changeNote()
			case 15:
				m.deleteNote()
			case 16, 17, 18:
				m.repeat()
			case 19, 20:
				m.watchAWhile()
			default:
				m.wait()
			}
		}
		live := m.observe()
		if diff := cmp.Diff(m.expect(), live, protocmp.Transform()); diff != "" {
			r.Fatalf("the model and what is read (-model +read):\n%s", diff)
		}
		m.watchToTheEnd()
		tables := m.dump(t)
		if err := m.log.Rebuild(t.Context()); err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(live, m.observe(), protocmp.Transform()); diff != "" {
			r.Fatalf("what is read live and rebuilt (-live +rebuilt):\n%s", diff)
		}
		if diff := cmp.Diff(tables, m.dump(t)); diff != "" {
			r.Fatalf("the tables live and rebuilt (-live +rebuilt):\n%s", diff)
		}
		m.watchToTheEnd()
		if rapid.Bool().Draw(r, "erase an account") {
			m.eraseAlice(t)
		}
		m.redactSome(t)
	})
}

type machine struct {
	*rapid.T
	*world
	memos map[string]*model
	order []string // ids as created
	notes map[string]*modelNote
	calls []keptCall
	// caches are what those who watch know, by account.
	caches map[string]*cache
}

func (m *machine) account() string {
	return rapid.SampledFrom([]string{"alice", "bob"}).Draw(m.T, "account")
}

func (m *machine) text(name string, least int) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(vocabulary()), least, 4).Draw(m.T, name), " ")
}

func (m *machine) categories() []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"Go", "設計", "x"}), 0, 2, rapid.ID).Draw(m.T, "categories")
}

func (m *machine) ids() []string {
	return rapid.SliceOfN(rapid.SampledFrom(append([]string{"memo_none"}, m.order...)), 1, 4).Draw(m.T, "ids")
}

func (m *machine) create() {
	account := m.account()
	n := rapid.SampledFrom([]int{1, 1, 2, maxWaiting}).Draw(m.T, "how many")
	var drafts []*memov1.MemoDraft
	d := &memov1.MemoDraft{Title: m.text("title", 1), Body: m.text("body", 0), Summary: m.text("summary", 0), Categories: m.categories()}
	for range n {
		drafts = append(drafts, d)
	}
	res, err := send(m, account, &memov1.CreateMemosRequest{Memos: drafts}, m.CreateMemos)
	if err != nil {
		m.Fatal(err)
	}
	for i, r := range res.GetResults() {
		id := r.GetMemo().GetId()
		m.order = append(m.order, id)
		m.memos[id] = &model{account: account, memo: &memov1.Memo{
			Id: id, Title: drafts[i].GetTitle(), Body: drafts[i].GetBody(), Summary: drafts[i].GetSummary(), Categories: drafts[i].GetCategories(), Revision: 1,
		}}
	}
}

func (m *machine) update() {
	account, id := m.account(), m.ids()[0]
	req := &memov1.UpdateMemoRequest{Id: id, Title: m.text("title", 1), Body: m.text("body", 0), Categories: m.categories()}
	req.UpdateMask = &fieldmaskpb.FieldMask{Paths: []string{"title", "body", "categories"}}
	_, err := send(m, account, req, m.UpdateMemo)
	known := m.memos[id]
	if known == nil || known.account != account || known.memo.GetDeleteTime() != nil {
		if err == nil {
			m.Fatalf("update %s of another account, or in the trash: got no error", id)
		}
		return
	}
	after := proto.CloneOf(known.memo)
	after.Title, after.Body, after.Categories = req.GetTitle(), req.GetBody(), req.GetCategories()
	if changes := !proto.Equal(after, known.memo); known.memo.GetIsPublic() && changes {
		if connect.CodeOf(err) != connect.CodePermissionDenied {
			m.Fatalf("update %s, which is public: got %v, want permission_denied", id, err)
		}
		return
	} else if changes {
		after.Revision++
	}
	if err != nil {
		m.Fatal(err)
	}
	known.memo = after
}

func (m *machine) moveToTrash() {
	account, ids := m.account(), m.ids()
	if _, err := send(m, account, &memov1.DeleteMemosRequest{Ids: ids}, m.DeleteMemos); err != nil {
		m.Fatal(err)
	}
	for _, id := range ids {
		if known := m.memos[id]; known != nil && known.account == account && known.memo.GetDeleteTime() == nil {
			known.memo.DeleteTime = day(1)
			known.memo.IsPublic, known.memo.PublicUrl = false, ""
			known.memo.Revision++
			known.trashed = m.clock.now()
		}
	}
}

func (m *machine) moveBack() {
	account, ids := m.account(), m.ids()
	if _, err := send(m, account, &memov1.RestoreMemosRequest{Ids: ids}, m.RestoreMemos); err != nil {
		m.Fatal(err)
	}
	for _, id := range ids {
		if known := m.memos[id]; known != nil && known.account == account && known.memo.GetDeleteTime() != nil {
			known.memo.DeleteTime = nil
			known.memo.Revision++
		}
	}
}

// wait lets twenty days pass, so that of what is in the trash some may be purged.
func (m *machine) wait() {
	m.clock.advance(20 * 24 * time.Hour)
	if err := m.service.Purge(m.Context()); err != nil {
		m.Fatal(err)
	}
	if err := m.service.forgetAnswers(m.Context()); err != nil {
		m.Fatal(err)
	}
	m.calls = nil
	for id, known := range m.memos {
		if known.memo.GetDeleteTime() != nil && m.clock.now().Sub(known.trashed) > trashTime {
			delete(m.memos, id)
			m.leaveNotes(id)
		}
	}
}

func (m *machine) publish() {
	account, ids := m.account(), m.ids()
	if _, err := m.PublishMemos(publishing(m.T, account), &memov1.PublishMemosRequest{Ids: ids}); err != nil {
		m.Fatal(err)
	}
	for _, id := range ids {
		if known := m.memos[id]; known != nil && known.account == account && known.memo.GetDeleteTime() == nil && !known.memo.GetIsPublic() {
			known.memo.IsPublic, known.memo.PublicUrl = true, "https://paput.example.com/m/"+id
			known.memo.Revision++
		}
	}
}

func (m *machine) unpublish() {
	account, ids := m.account(), m.ids()
	if _, err := send(m, account, &memov1.UnpublishMemosRequest{Ids: ids}, m.UnpublishMemos); err != nil {
		m.Fatal(err)
	}
	for _, id := range ids {
		if known := m.memos[id]; known != nil && known.account == account && known.memo.GetIsPublic() {
			known.memo.IsPublic, known.memo.PublicUrl = false, ""
			known.memo.Revision++
		}
	}
}

// seen is all that the two accounts can read: memos by id, searches by what was looked for, categories.
type seen struct {
	Memos      map[string]*memov1.Memo
	Found      map[string][]string
	Categories map[string]map[string]int32
	Notes      map[string]string
}

func (m *machine) observe() seen {
	s := seen{map[string]*memov1.Memo{}, map[string][]string{}, map[string]map[string]int32{}, m.observeNotes()}
	for _, account := range []string{"alice", "bob"} {
		for chunk := range slices.Chunk(m.order, 100) {
			res, err := m.SearchMemos(as(m.T, account), &memov1.SearchMemosRequest{Ids: chunk})
			if err != nil {
				m.Fatal(err)
			}
			for _, memo := range res.GetMemos() {
				memo.CreateTime, memo.UpdateTime, memo.Etag = nil, nil, ""
				if memo.GetDeleteTime() != nil {
					memo.DeleteTime = day(1)
				}
				s.Memos[account+" "+memo.GetId()] = memo
			}
		}
		for _, query := range append(vocabulary(), "認証 token", "") {
			for _, deleted := range []bool{false, true} {
				ids := m.all(account, &memov1.SearchMemosRequest{Query: query, IncludeDeleted: deleted, PageSize: 100})
				s.Found[fmt.Sprintf("%s %q %v", account, query, deleted)] = m.withAll(query, ids)
			}
			for _, public := range []bool{false, true} {
				ids := m.all(account, &memov1.SearchMemosRequest{Query: query, IsPublic: &public, PageSize: 100})
				s.Found[fmt.Sprintf("%s %q public %v", account, query, public)] = m.withAll(query, ids)
			}
		}
		res, err := m.ListCategories(as(m.T, account), &memov1.ListCategoriesRequest{})
		if err != nil {
			m.Fatal(err)
		}
		s.Categories[account] = map[string]int32{}
		for _, c := range res.GetCategories() {
			s.Categories[account][c.GetName()] = c.GetMemoCount()
		}
	}
	return s
}

// all gives the ids on all pages, sorted.
func (m *machine) all(account string, req *memov1.SearchMemosRequest) []string {
	ids := []string{}
	for {
		res, err := m.SearchMemos(as(m.T, account), req)
		if err != nil {
			m.Fatal(err)
		}
		ids = append(ids, idsOf(res)...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			slices.Sort(ids)
			return ids
		}
		if len(ids) > 2*len(m.order) {
			m.Fatal("the pages do not end")
		}
	}
}

// expect is what the model says should be seen.
func (m *machine) expect() seen {
	s := seen{map[string]*memov1.Memo{}, map[string][]string{}, map[string]map[string]int32{"alice": {}, "bob": {}}, m.expectNotes()}
	for id, known := range m.memos {
		s.Memos[known.account+" "+id] = known.memo
		if known.memo.GetIsPublic() {
			theirs := proto.CloneOf(known.memo)
			theirs.Categories, theirs.Revision = nil, 0
			s.Memos[map[string]string{"alice": "bob", "bob": "alice"}[known.account]+" "+id] = theirs
		}
		if known.memo.GetDeleteTime() == nil {
			for _, name := range known.memo.GetCategories() {
				s.Categories[known.account][name]++
			}
		}
	}
	for _, account := range []string{"alice", "bob"} {
		for _, query := range append(vocabulary(), "認証 token", "") {
			for _, deleted := range []bool{false, true} {
				s.Found[fmt.Sprintf("%s %q %v", account, query, deleted)] = m.having(account, query, func(memo *memov1.Memo) bool {
					return deleted || memo.GetDeleteTime() == nil
				})
			}
			for _, public := range []bool{false, true} {
				s.Found[fmt.Sprintf("%s %q public %v", account, query, public)] = m.having(account, query, func(memo *memov1.Memo) bool {
					return memo.GetDeleteTime() == nil && memo.GetIsPublic() == public
				})
			}
		}
	}
	return s
}

// wordsIn counts the words of a query that a memo has.
func (m *machine) wordsIn(id, query string) int {
	memo := m.memos[id].memo
	text := strings.Join(slices.Concat([]string{memo.GetTitle(), memo.GetSummary(), memo.GetBody()}, memo.GetCategories(), memo.GetProjects()), " ")
	n := 0
	for _, word := range strings.Fields(query) {
		if strings.Contains(text, word) {
			n++
		}
	}
	return n
}

// withAll leaves out the memos that have but a part of the query, which must have a part.
func (m *machine) withAll(query string, ids []string) []string {
	return slices.DeleteFunc(ids, func(id string) bool {
		n := m.wordsIn(id, query)
		if query != "" && n == 0 {
			m.Fatalf("query %q found %s, which has no word of it", query, id)
		}
		return n < len(strings.Fields(query))
	})
}

// having gives the ids of the account's memos that have all words of a query and pass a test, sorted.
func (m *machine) having(account, query string, pass func(*memov1.Memo) bool) []string {
	ids := []string{}
	for _, id := range slices.Sorted(maps.Keys(m.memos)) {
		known := m.memos[id]
		if known.account == account && m.wordsIn(id, query) == len(strings.Fields(query)) && pass(known.memo) {
			ids = append(ids, id)
		}
	}
	return ids
}

// dump gives every row of the tables that can be read as they are.
func (m *machine) dump(tb testing.TB) map[string][]string {
	tb.Helper()
	tables := map[string][]string{}
	for _, table := range []string{"memo_accounts", "memos", "memo_purged", "memo_labels", "memo_categories", "memo_finds", "memo_waiting", "notes", "note_memos", "memo_answers"} {
		tables[table] = m.dumpTable(tb, table)
	}
	return tables
}

func (m *machine) dumpTable(tb testing.TB, table string) []string {
	tb.Helper()
	rows, err := m.log.DB().QueryContext(tb.Context(), "SELECT * FROM "+table)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		tb.Fatal(err)
	}
	var out []string
	for rows.Next() {
		values, row := make([]any, len(columns)), ""
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			tb.Fatal(err)
		}
		for _, v := range values {
			row += fmt.Sprintf("%v|", *v.(*any))
		}
		out = append(out, row)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return out
}
