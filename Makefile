# The two commands for everyone: `make demo` and `make test`. `make help` lists the rest.

PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TESTBED := PYTHONPATH=qemu-testbed $(BIN)/python -m testbed
BENCHMARKS := PYTHONPATH=qemu-testbed $(BIN)/python -m benchmarks
DISTRIBUTION := PYTHONPATH=packaging:qemu-testbed $(BIN)/python -m distribution
FIRMWARE ?= legacy
MINUTES ?= 30
READERS ?= qcow2 vmdk ova packed
# For make bench: GiB of the image, MB/s of the link, rounds, ssd, direct or cached, patterns of ways with commas between.
SIZE ?= 10
RATE ?= 100
ROUNDS ?= 3
DISK ?= ssd
ONLY ?= *
# For make rescue: where it goes, files with public keys, the file that pins disk groups, a directory to lay over the
# system, Debian packages to add (firmware of network cards), words for the kernel's command line.
RESCUE ?= build/rescue
SSH_KEY ?=
DISK_GROUPS ?=
OVERLAY ?=
PACKAGES ?=
PARAMETERS ?=
SOURCES := agent configdrive partitioning packaging/distribution packaging/single_file qemu-testbed/testbed tests benchmarks \
	ansible/ansible_collections

.DEFAULT_GOAL := help
.PHONY: help setup packages check lint types layers unit test test-disk test-vm test-long dist dist-sums demo rescue-vm rescue docs
.PHONY: page-screenshot
.PHONY: bench bench-growth bench-document boot-matrix fuzz clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: packages $(READY) ## install what is missing: Debian packages, and Python packages into .venv

packages:
	@PYTHONPATH=qemu-testbed $(PYTHON) -m testbed.packages

$(READY): pyproject.toml constraints.txt | packages
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,cloud-init-reader,ansible]'
	@touch $@
	@echo "Ready: $(BIN)/byoi-agent"

check: setup ## the quick loop: lint, types, layers, unit tests
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint types layers unit

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy $(SOURCES)

layers:
	$(BIN)/lint-imports

unit:
	$(BIN)/pytest -q -n 2 tests/unit

test: check test-disk test-vm ## everything

test-disk: setup ## tests on files and loop devices
	$(BIN)/pytest -q -n 2 tests/disk

test-vm: setup ## tests in virtual servers, legacy and UEFI
	BYOI_CPUS=1 $(BIN)/pytest -v -n 2 --dist loadscope --no-loadscope-reorder --durations=15 -m 'not long' tests/vm

dist: setup ## build the single file and the Debian package into dist/, with their sums
	@$(DISTRIBUTION)

dist-sums: setup ## after a change of constraints.txt: note the sums of the wheels that dist bundles
	@$(DISTRIBUTION) --sums

demo: setup ## the main job from download to first login, in QEMU, legacy and UEFI
	@$(TESTBED) demo

test-long: setup ## tests in virtual servers that take too long for every time
	$(BIN)/pytest -v -m long tests/vm

boot-matrix: setup ## deploy and boot every image on every kind of server, into docs/boot.md: two hours
	$(BIN)/pytest -v tests/vm/test_unmodified_images.py
	@$(TESTBED) boot-matrix --results build/boot-matrix.json --document docs/boot.md

rescue-vm: setup ## a rescue server to play with: make rescue-vm FIRMWARE=uefi
	@$(TESTBED) rescue-vm --firmware $(FIRMWARE)

rescue: setup ## the rescue system to ship, kernel, initramfs and ISO: make rescue SSH_KEY=me.pub, as root
	@$(TESTBED) rescue-image $(RESCUE) --parameters '$(PARAMETERS)' $(if $(DISK_GROUPS),--disk-groups '$(DISK_GROUPS)') \
		$(if $(OVERLAY),--overlay '$(OVERLAY)') $(foreach key,$(SSH_KEY),--ssh-key '$(key)') \
		$(foreach package,$(PACKAGES),--package '$(package)')

docs: setup ## write the generated parts of docs/ anew
	$(BIN)/python -m agent.request.schema docs
	$(BIN)/python -m agent.cli.man_page docs

page-screenshot: setup ## the picture of the page to watch, into docs/
	PYTHONPATH=.:qemu-testbed $(BIN)/python -m tests.page_screenshot docs/page.png

bench: setup ## this agent beside what else puts an image onto a disk, in one table: 35 minutes, as root
	$(BENCHMARKS) table --size $(SIZE) --rate $(RATE) --rounds $(ROUNDS) --disk $(DISK) --only '$(ONLY)'

bench-growth: setup ## how that grows with the image, on 1 and 2 cores: 25 minutes, as root
	$(BENCHMARKS) growth --rate $(RATE)

bench-document: setup ## write what bench and bench-growth found last into docs/performance.md
	$(BENCHMARKS) document docs/performance.md

fuzz: setup ## fuzz the readers of images, a share of the time each: make fuzz MINUTES=30 READERS="qcow2 ova"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	@found=0; for reader in $(READERS); do \
		$(BIN)/python -m tests.fuzz $$reader --seconds $$(($(MINUTES) * 60 / $(words $(READERS)))) || found=1; \
	done; exit $$found

clean: ## remove what was built in this folder; the cache outside it stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
