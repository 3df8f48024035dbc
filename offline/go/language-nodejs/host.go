//go:build host

package main

// Named here so that go.mod and go.sum hold what the language host itself needs.
import _ "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs"
