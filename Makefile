# `make demo` and `make test` set up what they need in .venv on a fresh clone; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python

.PHONY: help setup demo demo-calid demo-calid-cine bundles test-bundles test test-label lint clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(VENV)/ready: requirements.txt requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@# torch alone first: the plain pin takes the CPU build where one is configured, and the rest then keeps it.
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -q $$(grep '^torch==' requirements.txt)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -q -r requirements.txt -r requirements-dev.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -e .
	@touch $@

setup: $(VENV)/ready ## make the virtual environment

DEMO := outputs/demo
BUNDLE := bundles/cardiointerp/configs
PHANTOM := --phantom_dir $(DEMO)/phantom --phantom_patients 4 --phantom\#num_frames 30 --phantom\#num_alines 128 --phantom\#num_depths 128

demo: setup ## train briefly on the phantom, interpolate a pullback, make a picture (outputs/demo)
	@echo "1/3  train on simulated pullbacks, going on from the shipped weights"
	$(RUN) -m monai.bundle run --config_file $(BUNDLE)/train.json $(PHANTOM) --pretrained bundles/cardiointerp/models/model.pt \
	  --ckpt_dir $(DEMO)/models --output_dir $(DEMO)/training --crop_size "[64,64]" \
	  --epoch_length 40 --autoencoder_epochs 3 --denoiser_epochs 3 --val_interval 3 --log_every 10
	@echo "2/3  fill the gaps of a pullback the network has not seen, six-fold"
	$(RUN) -m monai.bundle run --config_file $(BUNDLE)/inference.json --dataset_dir $(DEMO)/phantom/OCT04.nii.gz \
	  --checkpoint $(DEMO)/models/model.pt --output_dir $(DEMO)
	@echo "3/3  look at it"
	$(RUN) -m custom.pictures.pullback --volume $(DEMO)/OCT04_interp.nii.gz --picture $(DEMO)/OCT04_interp.png
	@echo "volume   $(DEMO)/OCT04_interp.nii.gz"
	@echo "sidecar  $(DEMO)/OCT04_interp.json"
	@echo "picture  $(DEMO)/OCT04_interp.png"

# $(1): bundle, $(2): fields of the phantom, $(3): epochs of each stage and their length, $(4): factor
define DEMO_CMR
	@echo "1/3  train on simulated hearts, going on from the shipped weights"
	$(RUN) -m monai.bundle run --config_file bundles/$(1)/configs/train.json --phantom_dir $(DEMO)/$(1)/phantom --phantom_patients 4 $(2) \
	  --pretrained bundles/$(1)/models/model.pt --ckpt_dir $(DEMO)/$(1)/models --output_dir $(DEMO)/$(1)/training $(3) --val_interval 2 --log_every 10
	@echo "2/3  densify an acquisition of a heart the network has not seen, $(4)-fold"
	$(RUN) -m monai.bundle run --config_file bundles/$(1)/configs/inference.json --scan_dir $(DEMO)/$(1)/scan \
	  --checkpoint $(DEMO)/$(1)/models/model.pt --output_dir $(DEMO)/$(1) --factor $(4)
	@echo "3/3  look at it"
	$(RUN) -m custom.pictures.stack --volume $(DEMO)/$(1)/CMR01_interp.nii.gz --picture $(DEMO)/$(1)/CMR01_interp.png
	@echo "volume   $(DEMO)/$(1)/CMR01_interp.nii.gz"
	@echo "sidecar  $(DEMO)/$(1)/CMR01_interp.json"
	@echo "picture  $(DEMO)/$(1)/CMR01_interp.png"
endef

demo-calid: setup ## the same for cardiac MR: densify a simulated short-axis cine, phase by phase (outputs/demo/calid)
	$(call DEMO_CMR,calid,--phantom\#num_phases 2 --phantom\#pitch_mm 2.0,--epoch_length 20 --autoencoder_epochs 2 --denoiser_epochs 2 --denoiser_batch_size 4 --autoencoder_lr 1e-4 --denoiser_lr 1e-4,4)

demo-calid-cine: setup ## and with all phases at once (outputs/demo/calid_cine)
	$(call DEMO_CMR,calid_cine,--phantom\#num_phases 8,--epoch_length 10 --autoencoder_epochs 2 --denoiser_epochs 2 --denoiser_batch_size 1 --autoencoder_lr 1e-4 --denoiser_lr 1e-4,2)

bundles: setup ## Model Zoo packages of all bundles (dist/<name>_v<version>.zip)
	$(RUN) -m custom.packaging

test-bundles: setup ## every package in an environment of its own, as its users have it (half an hour)
	TEST_BUNDLES=all $(RUN) -m pytest -s tests/integration/test_packages.py

test: setup ## the whole test suite
	$(RUN) -m pytest

LABEL := .venv-label

$(LABEL)/ready: requirements-label.txt pyproject.toml
	$(PYTHON) -m venv $(LABEL)
	$(LABEL)/bin/python -m pip install --disable-pip-version-check --progress-bar off -q -r requirements-label.txt
	$(LABEL)/bin/python -m pip install --disable-pip-version-check -q --no-deps -e .
	@touch $@

test-label: $(LABEL)/ready ## the real MONAI Label server, and the inferers under NumPy 1, in .venv-label (8 GB)
	OMP_NUM_THREADS=1 $(LABEL)/bin/python -m pytest tests/label_app tests/inferers tests/transforms tests/test_geometry.py

lint: setup ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean: ## remove the environment and what the demo made
	rm -rf $(VENV) $(LABEL) outputs/demo
