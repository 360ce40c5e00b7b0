# Everything that this repository can do. `make help` lists it. Only Go is needed.
GO      ?= go
BIN     := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZ    ?= 10s
TOOLS   := $(GO) tool -modfile=contrib/tools/go.mod

.PHONY: help build man install demo test crashwalk regtest interop check lint fuzz bench golden clean sim-hold

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the plugins and the tools into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/mostro ./plugin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/holdinvoice ./contrib/holdinvoice
	cp -f $(BIN)/holdinvoice $(BIN)/holdinvoice-guard
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./contrib/trader/cmd/trader ./contrib/relay/cmd/relay ./contrib/simln/cmd/simln ./contrib/simln/cmd/simln-cli

PREFIX ?= /usr/local
install: build man ## copy the plugins to PREFIX/libexec/mostro, and the manual pages to PREFIX/share/man
	install -d $(DESTDIR)$(PREFIX)/libexec/mostro $(DESTDIR)$(PREFIX)/share/man/man7
	install -m 755 $(BIN)/mostro $(BIN)/holdinvoice $(BIN)/holdinvoice-guard $(DESTDIR)$(PREFIX)/libexec/mostro/
	install -m 644 $(BIN)/man/*.7 $(DESTDIR)$(PREFIX)/share/man/man7/

man: ## write the manual pages of the commands into bin/man; `lightning-cli help mostro-info` shows one once installed
	$(GO) run ./plugin --man $(BIN)/man

demo: build ## run a whole trade on a simulated node and a relay of our own; KEEP=1 leaves them running
	$(GO) run ./contrib/scenario/cmd/demo -bin $(BIN) $(if $(KEEP),-keep)

# The race detector needs a C compiler; without one the tests run without it.
RACE ?= $(if $(shell command -v "$$($(GO) env CC)" 2>/dev/null),-race)

test: ## all tests, with the race detector where it can be had, end to end on the simulated node
	$(GO) vet ./...
	$(GO) test $(RACE) -timeout 15m ./...
	@$(GO) test -count=1 -run '^TestEveryInputInEveryStatus$$' -v ./orders | grep -o 'life cycle rows covered: .*'

crashwalk: ## kill our processes at every point at which something can get lost, on the simulated node
	$(GO) test -tags failpoints ./orders/failpoint
	$(GO) test -count=1 -timeout 90m -parallel 8 -run '^TestCrashWalk$$' -v ./contrib/scenario -walk | grep -v '^=== '

regtest: build ## the same scenarios on real bitcoind and lightningd, where they are in PATH
	CGO_ENABLED=0 $(GO) build -tags failpoints -o $(BIN)/crash/mostro ./plugin
	CGO_ENABLED=0 $(GO) build -tags failpoints -o $(BIN)/crash/holdinvoice ./contrib/holdinvoice
	cp -f $(BIN)/crash/holdinvoice $(BIN)/crash/holdinvoice-guard
	$(GO) run ./contrib/scenario/cmd/regtest -bin $(BIN) -crash $(BIN)/crash

interop: build ## trade with mostro-cli over nostr-rs-relay, where they are in PATH
	$(GO) run ./contrib/scenario/cmd/interop -bin $(BIN)

sim-hold: ## the long simulation of the holder: every crash point, many seeds, a week of 100,000 holds
	$(GO) test -count=1 -timeout 2h -v -run 'CrashWalk|RandomHolds|Planted|WeekOfHolds' ./contrib/holdinvoice/hold -sim.walk -sim.seeds 2000 -sim.week 100000

check: lint test ## what a reviewer runs

lint: ## gofmt, vet and golangci-lint
	@test -z "$$(gofmt -l orders nostrio plugin contrib)" || { gofmt -l orders nostrio plugin contrib; echo "run gofmt -w on these"; exit 1; }
	$(GO) vet ./...
	$(TOOLS) golangci-lint run ./...

fuzz: ## every fuzz target for FUZZ (default 10s)
	@for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZ) $$p || exit 1; \
		done; \
	done

bench: ## all benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./orders ./nostrio ./plugin/... ./contrib/holdinvoice/...

golden: ## rewrite golden files; read the diff
	$(GO) test ./orders ./nostrio ./plugin -run 'Golden|Lifecycle|Fresh|Options|Manifest|Transcript|CSV' -update

clean: ## remove what make has built
	rm -rf $(BIN)
