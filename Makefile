# make help lists the targets. The two that a newcomer needs: make run, make test.
.DEFAULT_GOAL := help
SHELL := /bin/bash

include localstack/localstack.mk

VENV := .local/venvs/test/bin
SAM  := .local/venvs/sam/bin
CHECKOV := .local/venvs/checkov/bin/checkov
TOOL := go tool -modfile=tools/go.mod
SQLC := CGO_ENABLED=0 $(TOOL) sqlc -f shared/postgres/sqlc.yaml
RUFF := localstack/pyproject.toml

.PHONY: help run test fips attack bench check generate

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16 | sort

run: up ## brings the local AWS up and shows fitvault's main job on it
	@began=$$SECONDS; CGO_ENABLED=0 GOFIPS140=v1.0.0 go build -trimpath -o .local/demo ./demo || exit; \
	  [ $$((SECONDS - began)) -lt 2 ] || echo "  + the demonstration is built  $$((SECONDS - began)) s"; .local/demo

test: up ## all tests: Go, the deployed local stack, the local AWS itself
	@go test -timeout 15m ./...
	@$(MAKE) --no-print-directory fips
	@$(VENV)/python -m pytest -q localstack/tests

bench: export BENCH := $(BENCH)
bench: up ## fitvault against what people would use instead, as one table of ratios, into bench/results.md; [BENCH=pattern] only some
	@go run ./bench/run "$$BENCH"

fips: ## the crypto packages with the Go FIPS module, and nothing else allowed
	@GOFIPS140=v1.0.0 GODEBUG=fips140=only go test -short ./shared/vault/... ./shared/segment/... ./shared/sealedupload/... ./shared/jwks/... ./shared/pairing/... ./shared/signedpayload/...

attack: up ## attacks of e2e/attack at full size, then each parser fuzzed for FUZZTIME=60s: an hour and more
	@$(STACK_COMMAND) setup --attacks
	@ATTACK=whole go test -count=1 -timeout 120m -skip '^TestOverload$$' -v ./e2e/attack/... ./e2e/corpus ./e2e/sharing/... ./e2e/pairing/... ./e2e/retry/... ./e2e/matrix/... ./e2e/sentinel ./e2e/auditlog ./shared/segment ./shared/auditlog/... | grep -vE '^(=== |    .*--- (PASS|SKIP))' ; exit $${PIPESTATUS[0]}
	@ATTACK=whole go test -count=1 -run '^TestOverload$$' -v ./e2e/attack
	@go test -count=1 -run '^TestDatabaseDown$$' ./e2e/... | grep -v 'no test'; exit $${PIPESTATUS[0]}
	@e2e/attack/fuzz

check: setup ## format, lint, types, template, layers, licences
	@test -z "$$(gofmt -l $$(git ls-files "*.go"))" || { gofmt -l $$(git ls-files "*.go"); echo "run gofmt -w on these"; exit 1; }
	@go mod tidy -diff
	@go vet ./...
	@$(TOOL) staticcheck ./...
	@$(SQLC) diff
	@go test ./guard/...
	@$(VENV)/ruff check -q localstack && $(VENV)/ruff format -q --check localstack
	@$(VENV)/ruff check -q --config $(RUFF) docs e2e shared && $(VENV)/ruff format -q --check --config $(RUFF) docs e2e shared
	@$(VENV)/mypy --no-error-summary --config-file localstack/pyproject.toml localstack/launcher localstack/plugins
	@SAM_CLI_TELEMETRY=0 __SAM_CLI_APP_DIR=.local/sam-home AWS_DEFAULT_REGION=eu-central-1 $(SAM)/sam validate --lint >/dev/null
	@$(SAM)/cfn-lint template.yaml
	@$(VENV)/python docs/costs.py --check
	@$(CHECKOV) --config-file .checkov.yaml >.local/checkov.log || { cat .local/checkov.log; exit 1; }

generate: ## golden files, the contract inside template.yaml, and SQL's Go, after a change that is meant
	@$(SQLC) generate
	@go test ./guard -update
	@go test ./guard/matrix -update
