# greenhouse: edged (daemon) and greenctl (command line)
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
GO      ?= go
TOOL    := $(GO) tool -modfile=tools/go.mod
FUZZ    ?= 10s
KILLS   ?= 200
HISTORIES ?= 10000
COUNT   ?= 6
SEED    ?= 1
RACE    ?= ./store ./journal ./fleet ./actuation ./broker ./server ./edge ./edge/proof
export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help build demo test check race sim fuzz bench bench-control healthy kill linear lint fmt cover deb docs clean

help: ## show this help
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build both binaries into bin/
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/edged ./cmd/greenctl

demo: build ## a simulated greenhouse and the dashboard on it
	./scripts/demo.sh

test: ## run all tests
	$(GO) test -timeout 20m ./...

check: lint test ## lint, then all tests

race: ## run the tests of the concurrent rooms under the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout 20m -skip 'DayOfFaults|SlowDisk|AThousandNodes|Bench' $(RACE)

sim: ## run every scenario
	$(GO) test -run 'Scenario|Demo|Run' -v ./sim ./edge

fuzz: ## fuzz every decoder for FUZZ (default 10s) each
	./scripts/fuzz.sh $(FUZZ)

bench: ## run the benchmarks COUNT (default 6) times and summarise them
	@mkdir -p bin
	$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) ./... > bin/bench.txt || { cat bin/bench.txt; exit 1; }
	$(TOOL) benchstat bin/bench.txt

bench-peers: ## compare with mosquitto, SQLite, Prometheus and PostgreSQL (5 minutes; writes docs/benchmarks.md)
	cd bench && BENCH_PEERS=1 $(GO) test -count=1 -timeout 10m -run '^TestPeers$$' -v .

bench-control: ## compare control with that of other products: tracking with wear, and faults
	GREENHOUSE_BENCH=1 $(GO) test -timeout 60m -count=1 -run 'TestControlBenchmark|TestFaultSurvival' -v ./sim

healthy: ## show that no healthy thermometer is accused in winter, spring and autumn as measured (an hour or two)
	GREENHOUSE_BENCH=1 $(GO) test -timeout 150m -count=1 -run TestNoHealthyThermometer -v ./sim

kill: build ## SIGKILL a daemon KILLS times (default 200) under load, then under edits, and count what was lost
	KILLS=$(KILLS) SEED=$(SEED) $(GO) test -timeout 60m -run TestKillCampaign -v ./cmd/edged
	KILLS=$(KILLS) SEED=$(SEED) $(GO) test -timeout 60m -run TestRegistryAcrossKills -v ./edge/proof

linear: ## check HISTORIES (default 10000) random concurrent histories of the registry; evidence in bin/evidence
	@mkdir -p bin/evidence
	HISTORIES=$(HISTORIES) SEED=$(SEED) EVIDENCE=$(CURDIR)/bin/evidence $(GO) test -count=1 -timeout 60m -run 'TestRegistryIsLinearizable$$' -v ./edge/proof

lint: ## vet, formatting and golangci-lint
	$(GO) vet ./...
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run make fmt"; exit 1; }
	$(TOOL) golangci-lint run ./...

fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

cover: ## test coverage by package
	$(GO) test -coverprofile=coverage.out ./... && $(GO) tool cover -func=coverage.out | tail -1

docs: build ## write the reference of both commands to docs/cli
	rm -rf docs/cli
	$(GO) run -tags docs ./cmd/edged docs docs/cli
	bin/greenctl docs docs/cli

deb: build ## build a Debian package into dist/
	./scripts/deb.sh $(VERSION)

clean: ## remove what was built
	rm -rf bin dist coverage.out
