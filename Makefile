# Waybill. `make help` lists the targets; each does its own set-up.
SHELL := /bin/bash
GO ?= go
BIN := bin/waybill
KERNELS := examples/capture/kernels/readable.wasm
# Guests are modules of their own: the SDK and the kernels written with it.
MODULES := plugins/sdk/go examples/capture/kernels/readable stages/claim/mongodb/wiretest
# staticcheck comes from the module proxy, pinned and checked by the sum database.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# The race detector watches all but pure computation that would take ten times as
# long: a database translated from C, the compiler of wasm, and the packages that
# read and rewrite modules. Only packages without atomics and without generic code
# of sync may stand here: the linker could take their copy of it, which the
# detector cannot see into, for everybody.
UNWATCHED := modernc.org/sqlite/lib \
	$(addprefix github.com/tetratelabs/wazero/internal/,wasm/binary engine/wazevo/ssa engine/wazevo/frontend engine/wazevo/backend/...) \
	$(addprefix github.com/waybill-dev/waybill/plugins/internal/,meter wasmbin)
RACE := -race $(UNWATCHED:%=-gcflags=%=-race=false)
# Compilers live for seconds: a sixth of their time goes into collecting garbage
# that would fit into memory. Not for go test, which would hand it to the tests.
ROOMY = GOGC=off GOMEMLIMIT=$(1)GiB
export CGO_ENABLED ?= 1

.PHONY: help demo test soak peers scale mutate bench bench-browser lint generate build kernels browser toolchains clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t15

demo: build browser ## capture real pages, run a kernel, sign and verify every receipt
	@$(GO) run ./examples/capture -waybill $(BIN)

# vet is lint's, and what only a debugger reads (-w) is left out. Four packages at
# once: many of them wait. Several tests build the program; if it is built before,
# they do not all compile it at the same time.
test: build browser toolchains ## everything, with the race detector on
	$(GO) test $(RACE) -vet=off -ldflags=-w -p 4 -timeout 20m ./...
	@for m in $(MODULES); do (cd $$m && $(GO) test ./...) || exit 1; done

soak: ## 100,000 items through each kernel, 2,000 browser sessions, a kill at every write, 30 minutes of chaos
	WAYBILL_SOAK_ITEMS=100000 $(GO) test ./plugins -run 'TestSoak' -count=1 -v -timeout 60m
	WAYBILL_BROWSER_KILLS=20 $(GO) test ./stages/execute -run TestKilledBrowsersLoseNothing -count=1 -v -timeout 30m
	WAYBILL_BROWSER_SESSIONS=2000 $(GO) test ./cdp -run TestManySessionsLeaveNothing -count=1 -v -timeout 60m
	WAYBILL_CRASH_POINTS=all $(GO) test ./stages/claim/sqlite ./stages/claim/nats ./stages/claim/mongodb -run TestCrashPoints -count=1 -v -timeout 30m
	WAYBILL_CHAOS=30m $(GO) test ./internal/chaostest -run TestChaos -parallel 3 -count=1 -v -timeout 90m

scale: ## items per second with 1, 2, 4 and 8 processes on each shared queue
	WAYBILL_SCALE=1 $(GO) test ./internal/chaostest -run TestScale -count=1 -v -timeout 30m

mutate: ## leave each guard of the claim protocol out, of its model and of each queue driver, and see a test fail
	WAYBILL_MODEL_WORKERS=3 $(GO) test ./spec/claimmodel -count=1 -v -timeout 30m
	$(GO) run ./internal/mutate

peers: browser ## what other engines do wrong: FerretDB 1, whose claims are not atomic, is refused; what other readers say of captures
	cd stages/claim/mongodb/ferrettest && $(GO) vet . && $(GO) test -count=1 -v -run . . | grep -E '^(---|ok|FAIL|panic)|claims of'; exit $${PIPESTATUS[0]}
	@scripts/capture-peers var/capture-peers
	$(GO) test -count=1 -run TestPeersReadCaptures ./stages/execute -peers $(CURDIR)/var/capture-peers

bench: build ## measure, print ratios, write bench/results.json
	$(GO) run ./bench -waybill $(BIN) -out bench/results.json
	$(GO) generate ./bench

bench-browser: browser ## what a page costs, beside a raw client, puppeteer-cluster and Playwright; write docs/benchmarks.md
	@scripts/browser-peers var/browser-peers
	$(GO) run ./bench/browser -peers var/browser-peers -rounds 5 -docs docs/benchmarks.md

# These flags share what they compile with the tests.
lint: ## gofmt, go vet, staticcheck, go.mod
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt -w these:"; echo "$$out"; exit 1; fi
	$(call ROOMY,1) $(GO) vet $(RACE) ./...
	@for m in $(MODULES); do (cd $$m && $(GO) vet ./...) || exit 1; done
	GOBIN=$(CURDIR)/bin $(call ROOMY,1) $(GO) install $(STATICCHECK)
	GOFLAGS="$(RACE)" $(call ROOMY,3) bin/staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) mod verify

generate: ## rewrite schema, reference and golden files
	$(GO) generate ./...

build: kernels ## bin/waybill
	$(call ROOMY,1) $(GO) build -o $(BIN) ./cmd/waybill

kernels: $(KERNELS)

# A kernel is rebuilt when its source or the SDK changed. The flags make the
# module reproducible; its function names stay, for the stacks of traps.
%.wasm: $(wildcard examples/capture/kernels/readable/*.go) $(wildcard plugins/sdk/go/*.go)
	cd $* && GOOS=wasip1 GOARCH=wasm $(GO) build -buildmode=c-shared -trimpath -buildvcs=false -o ../$(notdir $@) .

browser: ## find a Chrome, or install one where apt may
	@scripts/browser

toolchains: ## find compilers for kernels in other languages, or install them where apt and npm may
	@scripts/toolchains rust c zig assemblyscript || echo "tests that build kernels in these languages are skipped; the committed modules are tested all the same"

clean: ## remove what the build and the examples wrote
	rm -rf bin $(KERNELS) examples/*/var
