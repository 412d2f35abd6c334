# The local AWS: `make up`, `make down`. Included by the Makefile; see localstack/README.md.
# PY= names a Python 3.13; LS_PORT=, MS_PORT= and PG_PORT= move the ports.

export PYTHONPYCACHEPREFIX := $(CURDIR)/.local/pycache
export RUFF_CACHE_DIR := $(CURDIR)/.local/ruff
export MYPY_CACHE_DIR := $(CURDIR)/.local/mypy
STACK_COMMAND := ./localstack/stack

.PHONY: setup up down status deploy deploy-app consent-page grant-role pairing-root pairing-certificate migrate invoke

setup: ## Python environments, DynamoDB Local and PostgreSQL, into .local/
	@$(STACK_COMMAND) setup

up: ## the local AWS with fitvault deployed to it
	@$(STACK_COMMAND) up

down: ## stops the local AWS
	@$(STACK_COMMAND) down

status: ## what is up
	@$(STACK_COMMAND) status

deploy: ## builds and deploys to the local AWS, also where nothing has changed
	@$(STACK_COMMAND) deploy

# The key goes by the environment: a process's arguments can be read by everyone.
deploy-app: export CLIENT := $(CLIENT)
deploy-app: export KEY := $(KEY)
deploy-app: export PLAN := $(PLAN)
deploy-app: export KIND := $(KIND)
deploy-app: export STACK := $(STACK)
deploy-app: export LOCAL := $(LOCAL)
deploy-app: ## lets an app in: CLIENT=… KEY=… [PLAN=app|partner] [KIND=own|third-party|system|staff] [STACK=fitvault]; LOCAL=1 for the local AWS
	@$(STACK_COMMAND) deploy-app

consent-page: export STACK := $(STACK)
consent-page: export LOCAL := $(LOCAL)
consent-page: ## lets the page in on which people let apps in, after the first deployment: [STACK=fitvault]; LOCAL=1 for the local AWS
	@$(STACK_COMMAND) consent-page

# Every shell has a USER: only one that is given to make counts.
grant-role: export USER_NAME := $(if $(filter command line,$(origin USER)),$(USER))
grant-role: export POOL := $(POOL)
grant-role: export ROLE := $(ROLE)
grant-role: export REMOVE := $(REMOVE)
grant-role: export STACK := $(STACK)
grant-role: export LOCAL := $(LOCAL)
grant-role: ## gives a member of the staff a role: USER=e-mail ROLE=… [REMOVE=1] [STACK=fitvault]; LOCAL=1 for the local AWS
	@$(STACK_COMMAND) grant-role

pairing-root: export ROOT := $(ROOT)
pairing-root: ## makes the root that trackers are made with, on a machine that is offline: ROOT=folder
	@$(STACK_COMMAND) pairing-root

pairing-certificate: export ROOT := $(ROOT)
pairing-certificate: export STACK := $(STACK)
pairing-certificate: export LOCAL := $(LOCAL)
pairing-certificate: export PUBLIC := $(PUBLIC)
pairing-certificate: export OUT := $(OUT)
pairing-certificate: ## vouches for the deployment's pairing key: ROOT=folder [STACK=fitvault]; offline PUBLIC=key.der OUT=certificate.pem
	@$(STACK_COMMAND) pairing-certificate

migrate: export STACK := $(STACK)
migrate: export LOCAL := $(LOCAL)
migrate: ## brings the database's tables up to date: [STACK=fitvault]; LOCAL=1 for the local AWS (make up does it by itself)
	@$(STACK_COMMAND) migrate

invoke: export FILLED := $(FILLED)
invoke: ## calls a deployed function: FUNCTION=… EVENT=events/….json; FILLED=file writes the filled event
	@test -n "$(EVENT)" || { echo "make invoke FUNCTION=ingest EVENT=events/ingest-post-readings.json; ls events/ shows the others"; exit 2; }
	@$(STACK_COMMAND) invoke $(FUNCTION) $(EVENT)
