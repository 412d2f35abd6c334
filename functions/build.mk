# How every function is built; functions/NAME/Makefile includes it for `sam build`.
# The Go FIPS module is pinned, so that the same code runs in tests and deployed.
build-%:
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 GOFIPS140=v1.0.0 go build -trimpath -buildvcs=false -ldflags=-s -tags lambda.norpc -o "$(ARTIFACTS_DIR)/bootstrap" .
