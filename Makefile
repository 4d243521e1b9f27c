SHELL := bash
BUF := go tool -modfile=deploy/tools/go.mod buf
LINT := go tool -modfile=deploy/tools/go.mod golangci-lint

.PHONY: help run build test check generate golden fix bench

help: ## list what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: build ## build and start paputd with everything embedded
	@exec bin/paputd serve

build: ## build paput and paputd into bin/
	@go build -trimpath -o bin/ ./cli/paput ./deploy/paputd

generate: ## regenerate the code made from proto/
	@$(BUF) format -w && $(BUF) lint && $(BUF) generate
