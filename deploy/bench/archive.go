package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	memov1 "github.com/paput/paput/proto/gen/paput/memo/v1"
)

// archive measures how fast an account of many memos is exported, and imported into another account, a hundred records in a
// request as paput import sends them, beside creating the same memos a hundred at a time.
func archive(ctx context.Context, bin, dir string, memos int) error {
	p, err := startPaputd(ctx, bin, dir)
	if err != nil {
		return err
	}
	defer func() { p.stop() }()
	fmt.Printf("\nexport and import of %d memos\n\n%-22s %9s %10s %12s\n", memos, "", "per s", "cpu µs/op", "server MiB")
	row := func(name string, what func() error) error {
		before, err := p.cpu()
		if err != nil {
			return err
		}
		begin := time.Now()
		if err := what(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		took := time.Since(begin)
		after, err := p.cpu()
		if err != nil {
			return err
		}
		size, err := p.memory()
		if err != nil {
			return err
		}
		fmt.Printf("%-22s %9.0f %10.0f %12d\n", name, float64(memos)/took.Seconds(), float64((after-before).Microseconds())/float64(memos), size>>20)
		return nil
	}
	var tokens []string
	for person := range 2 {
		token, err := p.visitor(person).Grant(ctx, p.token.ClientID, p.url, "paput.read", "paput.write", "paput.account")
		if err != nil {
			return err
		}
		tokens = append(tokens, token.Access)
	}
	if err := row("CreateMemos by hundreds", func() error {
		for from := 0; from < memos; from += 100 {
			if err := create(bearing(ctx, tokens[0]), p.memos(), drafts(from, min(memos, from+100))); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	var records []*memov1.ArchiveRecord
	if err := row("ExportAccount", func() (err error) {
		records, err = p.export(ctx, tokens[0])
		return err
	}); err != nil {
		return err
	}
	if len(records) != memos {
		return fmt.Errorf("exported %d records of %d memos", len(records), memos)
	}
	if err := row("ImportAccount", func() error { return p.importAll(ctx, tokens[1], records) }); err != nil {
		return err
	}
	return row("ImportAccount, again", func() error { return p.importAll(ctx, tokens[1], records) })
}

func (p *process) export(ctx context.Context, token string) ([]*memov1.ArchiveRecord, error) {
	stream, err := p.memos().ExportAccount(bearing(ctx, token), &memov1.ExportAccountRequest{})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var records []*memov1.ArchiveRecord
	for {
		res, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return nil, err
		}
		records = append(records, res.GetRecord())
	}
}

func (p *process) importAll(ctx context.Context, token string, records []*memov1.ArchiveRecord) error {
	for ; len(records) > 0; records = records[min(atOnce, len(records)):] {
		res, err := p.memos().ImportAccount(bearing(ctx, token), &memov1.ImportAccountRequest{Records: records[:min(atOnce, len(records))]})
		if err != nil {
			return err
		}
		for _, r := range res.GetResults() {
			if r.GetError() != nil {
				return errors.New(r.GetError().GetMessage())
			}
		}
	}
	return nil
}
