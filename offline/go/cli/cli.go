//go:build cli

// Package cli names the CLI so that go.mod and go.sum hold what it needs; nothing here is compiled.
package cli

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
