# How freshet is built and checked. CONTRIBUTING.md tells when to run what.
#
# Tests come in three sizes (internal/testenv.Size): short in the race pass,
# plain in the second pass, soak in `make soak`.

GO   ?= go
TOOL := $(GO) tool -modfile=tools/go.mod

# Built the way it is shipped: no cgo, no paths of the machine. As everything here
# is built alike (the race pass alone needs cgo), everything shares one build cache.
export CGO_ENABLED := 0
export GOFLAGS     := $(strip $(filter-out -trimpath,$(GOFLAGS)) -trimpath)

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
SYSTEMS := linux/amd64 linux/arm64 darwin/arm64

.DEFAULT_GOAL := help
.PHONY: help build test install compile race plain soak mutants check vet staticcheck format cross vuln fmt

help: ## this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { sub("%", "NAME", $$1); printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## bin/freshet, static, with its version
	$(GO) build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/freshet ./cmd/freshet

# One after the other, also under `make -j`: two passes at once would only slow
# each other, and a test that measures an order of events would notice.
test: ## what a change must pass: installs what is missing, race pass, plain pass
	@$(MAKE) --no-print-directory install
	@$(MAKE) --no-print-directory compile
	@$(MAKE) --no-print-directory race
	@$(MAKE) --no-print-directory plain

install:
	@sh internal/testenv/install.sh
	@data="$${FRESHET_REALDATA:-../shared/data}"; \
	if [ ! -f "$$data/follows.csv.gz" ] || [ ! -f "$$data/posts.csv.gz" ]; then \
		echo "real data: absent at $$data: tests run on a generated network of the same shape"; \
	fi

compile:
	$(GO) build ./...

race:
	CGO_ENABLED=1 $(GO) test -race -short -count=1 -p 3 -timeout 8m ./...

plain:
	$(GO) test -count=1 -p 3 -timeout 8m ./...

soak: ## the same tests at full counts; hours
	FRESHET_SOAK=1 $(GO) test -count=1 -p 1 -timeout 4h -v ./...

mutants: ## takes out guards one at a time: the test that watches each must fail
	$(GO) run ./internal/mutants

show-%: ## the acceptance points NAME, measured
	$(GO) run ./internal/show $*

check: vet staticcheck format cross vuln ## linters

vet:
	$(GO) vet ./...

staticcheck:
	$(TOOL) staticcheck ./...

format:
	@out="$$($(TOOL) gofumpt -l .)" || exit 1; \
	if [ -n "$$out" ]; then echo "not formatted (make fmt):"; echo "$$out"; exit 1; fi

# A system for which it does not compile is found here and not by its users.
cross:
	@for s in $(SYSTEMS); do \
		echo "compile for $$s"; \
		GOOS=$${s%/*} GOARCH=$${s#*/} $(GO) build ./... || exit 1; \
	done

# The database of vulnerabilities is a site on the network. Where it cannot be
# reached this says so; where it can, what it finds fails the check.
vuln:
	@if curl -fsS -m 10 -o /dev/null https://vuln.go.dev/index/db.json 2>/dev/null; then \
		$(TOOL) govulncheck ./...; \
	else \
		echo "govulncheck: NOT RUN: its database, vuln.go.dev, cannot be reached from here"; \
	fi

fmt: ## formats the code
	$(TOOL) gofumpt -w .
