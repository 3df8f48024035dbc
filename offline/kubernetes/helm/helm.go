//go:build helm

// Package helm names the Helm CLI so that go.mod and go.sum hold what it needs; nothing here is compiled.
package helm

import _ "helm.sh/helm/v3/cmd/helm"
