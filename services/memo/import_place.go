package memo

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/paput/paput/services/eventlog"
)

// How a thing of an archive and what the account has relate.
const (
	free  = iota // the account has nothing under this id, and nobody else has
	same         // the account has it
	other        // the account has something else under its id
)

// placed is where a thing of an archive belongs.
type placed struct {
	id      string
	is      int
	records []eventlog.Record // of what the account has there; none when it is free
}

// maxPlaces bounds how many ids are tried for one thing.
const maxPlaces = 8

// place finds where a thing of an archive belongs. Its own id is the first choice. When that is in use by another account,
// or by something that was purged, or by something else that is to be kept beside it, one that follows from the id is next,
// and so on. So the same archive always finds what it brought earlier, and nothing has to be remembered about an import.
func (i *importing) place(kind, id string, isSame func(id string, records []eventlog.Record) (bool, error)) (placed, error) {
	var open, taken *placed
	for n := range maxPlaces {
		here := i.choice(id, n)
		records, err := i.tx.Load(kind + "/" + here)
		if err != nil {
			return placed{}, err
		}
		if len(records) == 0 {
			if open == nil {
				open = &placed{id: here}
			}
			if n > 0 {
				break
			}
			continue
		}
		if !i.owns(kind, here, records) {
			continue
		}
		is, err := isSame(here, records)
		if err != nil {
			return placed{}, err
		}
		if is {
			return placed{here, same, records}, nil
		}
		if taken == nil {
			taken = &placed{here, other, records}
		}
	}
	switch {
	case taken != nil && !i.req.GetKeepBoth():
		return *taken, nil
	case open == nil:
		return placed{}, &fault{ErrExists, fmt.Sprintf("%s is in use, and so are the ids that would stand for it", id)}
	}
	return *open, nil
}

// owns says whether records are of something that the account still has.
func (i *importing) owns(kind, id string, records []eventlog.Record) bool {
	switch kind {
	case kindName:
		_, err := owned(i.caller, fold(id, records))
		return err == nil
	case kindNote:
		s := foldNote(id, records)
		return s.accountID == i.caller.AccountID && !s.deleted
	default:
		q := foldQueued(id, records)
		return q.accountID == i.caller.AccountID && q.status != statusPurged
	}
}

// choice is the n-th id that a thing may have in the account.
func (i *importing) choice(id string, n int) string {
	if n == 0 {
		return id
	}
	prefix, rest, _ := strings.Cut(id, "_")
	if len(rest) != timeDigits+hashDigits {
		rest = timePart(time.Time{})
	}
	return idFor(prefix, rest[:timeDigits], i.caller.AccountID, id, strconv.Itoa(n))
}

// An id is a ULID in small letters: digits for the time, and here a hash in place of what is random.
const (
	timeDigits = 10
	hashDigits = 16
)

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// timePart is how a ULID begins that is made at a time; for one before 1970 or after 10889, as if it were made in 1970.
func timePart(at time.Time) string {
	ms := at.UnixMilli()
	if ms < 0 || ms >= 1<<48 {
		ms = 0
	}
	var digits [timeDigits]byte
	for n := timeDigits - 1; n >= 0; n-- {
		digits[n] = crockford[ms&31]
		ms >>= 5
	}
	return string(digits[:])
}

// idFor gives the id that follows from the seeds. Who does not know the account's id cannot tell which it is.
func idFor(prefix, timePart string, seeds ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(seeds, "\n")))
	return prefix + "_" + timePart + base32.NewEncoding(crockford).EncodeToString(sum[:hashDigits*5/8])
}

// reference is the id that a thing which an archive names has here, or will have when it is imported.
func (i *importing) reference(kind, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	to, err := i.place(kind, id, func(string, []eventlog.Record) (bool, error) { return true, nil })
	return to.id, err
}

// memosByID says which of the account's memos an archive means by each of these ids. Those that it does not have are missing.
// With keep_both it means the copy that was made last.
func (i *importing) memosByID(ids []string) (map[string]string, error) {
	here := make(map[string]string, len(ids))
	for n := range maxPlaces {
		var asked []string
		for _, id := range ids {
			if _, found := here[id]; id != "" && (!found || i.req.GetKeepBoth()) {
				asked = append(asked, i.choice(id, n))
			}
		}
		known, err := readKnown(i.tx, i.caller.AccountID, asked)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if _, exists := known[i.choice(id, n)]; exists && id != "" {
				here[id] = i.choice(id, n)
			}
		}
		if n > 0 && len(known) == 0 {
			break // as a rule there is a first choice and no other
		}
	}
	return here, nil
}

// memosHere gives the ids that memos of an archive have here, each once, and those that are missing.
func (i *importing) memosHere(ids []string) (here, missing []string, err error) {
	byID, err := i.memosByID(ids)
	if err != nil {
		return nil, nil, err
	}
	for _, id := range ids {
		memo, exists := byID[id]
		switch {
		case exists:
			here = append(here, memo)
		case i.req.GetValidateOnly():
			here = append(here, id)
		default:
			missing = append(missing, id)
		}
	}
	return unique(here), missing, nil
}
