SHELL := bash
BUF := go tool -modfile=deploy/tools/go.mod buf
LINT := go tool -modfile=deploy/tools/go.mod golangci-lint

.DEFAULT_GOAL := help
.PHONY: help run build test conformance soak check generate golden fix bench bench-search

help: ## list what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: build ## build and start paputd with everything embedded
	@exec bin/paputd serve

build: ## build paput and paputd into bin/
	@mkdir -p bin
	@go build -trimpath -ldflags='-s -w' -o bin/ ./cli/paput ./deploy/paputd

test: build ## run every test, with real clients and a real browser
	PAPUT_BUF=1 go test -race ./...
	go test -run '^TestSearchQuality$$' ./services/memo
	deploy/e2e/run

conformance: ## run the MCP conformance suite: servers of both eras, and its authorization mode
	deploy/e2e/run clients/conformance.test.mjs

soak: ## run the long versions of the tests that have one; takes about a quarter of an hour
	go test -race -timeout 1h -run 'TestParallelRefreshes|TestEndsAmongRefreshes' ./services/oauth -soak
	go test -race -timeout 1h -run 'TestMonth|TestNothingCrosses' ./deploy/paputd -soak

check: ## lint, vet, import rules, generated code and go.mod are as they should be
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'run make fix'; exit 1; }
	go mod tidy -diff
	$(LINT) run ./...
	$(BUF) lint
	$(BUF) format -d --exit-code
	$(BUF) breaking --against proto/released.binpb
	@fresh=$$(mktemp -d) && $(BUF) generate -o $$fresh && { diff -r proto/gen $$fresh/proto/gen || { echo 'run make generate'; exit 1; }; } && rm -r $$fresh

generate: ## regenerate the code made from proto/
	$(BUF) format -w
	$(BUF) lint
	$(BUF) generate

golden: ## rewrite the golden files; read the diff as an API change
	go test ./edge/mcp ./cli ./services/oauth ./services/account -update

fix: ## format and fix what the linters can
	$(LINT) fmt ./...
	$(LINT) run --fix ./...
	go mod tidy

bench: build ## measure; every figure beside a baseline from the same run; ARGS=-h lists how to measure less or more
	go run ./deploy/bench $(ARGS)

bench-search: ## measure what a search finds, beside FTS5's own tokenizers, and among very many; ARGS=-misses lists what it does not
	go test -count=1 -run '^TestSearchQuality' -v ./services/memo -buried 20000 $(ARGS)
