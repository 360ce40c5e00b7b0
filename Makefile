# Everything that this repository can do. `make help` lists it. Only Go is needed.
GO      ?= go
BIN     := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZ    ?= 10s
TOOLS   := $(GO) tool -modfile=contrib/tools/go.mod

.PHONY: help build man install demo test sim sim-soak sim-planted web web-deps web-unit web-test crashwalk regtest interop check lint fuzz bench golden clean sim-hold

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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

# These have one goroutine and much to do: the first run leaves them out where it has the race detector.
ALONE := ^(TestEveryInputInEveryStatus|TestAYearDoesNotMakeTheFileGrowForEver|TestNoFlippedBitIsAPanic|TestATornCommitIsTheOldStateOrTheNew)$$

test: ## all tests, with the race detector where it can be had, end to end on the simulated node
	$(GO) vet ./...
	$(GO) test $(RACE) -timeout 15m ./...
	@mkdir -p $(BIN)
	@$(GO) test -count=1 -run '$(ALONE)' -v ./orders > $(BIN)/alone.log || { cat $(BIN)/alone.log; exit 1; }
	@grep -o 'life cycle rows covered: .*' $(BIN)/alone.log
	$(GO) run ./contrib/sim/cmd/sim -trades 20000
	@$(MAKE) --no-print-directory web-unit

SEED   ?= 1
TRADES ?= 20000
FOR    ?= 1h
sim: ## simulate the whole exchange on bad days; SEED=n TRADES=k lives through the same again
	$(GO) run ./contrib/sim/cmd/sim -seed $(SEED) -trades $(TRADES)

sim-soak: ## the same from SEED on, until FOR (default 1h) is over
	$(GO) run ./contrib/sim/cmd/sim -seed $(SEED) -trades 0 -for $(FOR)

sim-planted: ## put bugs into the exchange, one after the other; the simulation must find each
	$(GO) run -tags planted ./contrib/sim/cmd/sim -seed $(SEED) -trades $(TRADES)

WEB := contrib/web
CHROMIUM ?= $(shell command -v chromium chromium-browser google-chrome 2>/dev/null | head -n 1)

# Packages come by name from the npm registry, in the versions of the lockfile. No browser is fetched.
web-deps:
	@cd $(WEB) && test -d node_modules || PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund

web: web-deps ## build the web client (needs Node 20) and put it into plugin/webpage/dist, from where build takes it
	cd $(WEB) && npm run --silent build && node scripts/embed.mjs

# What needs only Node, and nothing from a network: it is part of make test.
web-unit:
	@if ! command -v node >/dev/null 2>&1; then echo 'web client: its unit tests are SKIPPED, there is no Node'; \
	elif [ ! -d $(WEB)/node_modules ]; then echo 'web client: its unit tests are SKIPPED, its packages are not there (make web fetches them)'; \
	else cd $(WEB) && npm run --silent check && npm run --silent test; fi

web-test: web-deps ## unit tests of the web client, and its stories in a browser (Chromium) against the real plugin
	@$(MAKE) --no-print-directory web web-unit build
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/webworld ./contrib/scenario/cmd/webworld
	@if [ -z "$(CHROMIUM)" ]; then echo 'web client: its stories are SKIPPED, there is no Chromium (Debian: apt install chromium)'; \
	else cd $(WEB) && CHROMIUM=$(CHROMIUM) npm run --silent e2e; fi

crashwalk: ## kill our processes at every point at which something can get lost, on the simulated node
	$(GO) test -tags failpoints ./orders/failpoint
	$(GO) test -count=1 -timeout 90m -parallel 8 -run '^TestCrashWalk$$' -v ./contrib/scenario -walk

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
	$(GO) vet -tags failpoints ./orders/... ./contrib/holdinvoice
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
