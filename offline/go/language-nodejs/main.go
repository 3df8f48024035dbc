// Command pulumi-language-nodejs hands the options that Pulumi.yaml gives for the runtime to Pulumi's Node.js language
// host. The newest release of that host which is published as a Go module takes them as flags; CLIs of today send them
// in a message that it does not know yet, so without this program `nodeargs` and `typescript` would be ignored.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"gopkg.in/yaml.v3"
)

type project struct {
	Runtime yaml.Node `yaml:"runtime"`
}

type runtimeInfo struct {
	Options struct {
		TypeScript *bool  `yaml:"typescript"`
		TSConfig   string `yaml:"tsconfig"`
		NodeArgs   string `yaml:"nodeargs"`
	} `yaml:"options"`
}

// projectFile returns the nearest project file at or above the folder, or "" where there is none.
func projectFile(folder string) string {
	for {
		for _, name := range []string{"Pulumi.yaml", "Pulumi.yml", "Pulumi.json"} {
			file := filepath.Join(folder, name)
			if info, err := os.Stat(file); err == nil && !info.IsDir() {
				return file
			}
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return ""
		}
		folder = parent
	}
}

// flags returns the language host's flags for the options in the project file.
func flags(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var parsed project
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	// `runtime: nodejs` has no options.
	if parsed.Runtime.Kind != yaml.MappingNode {
		return nil, nil
	}
	var info runtimeInfo
	if err := parsed.Runtime.Decode(&info); err != nil {
		return nil, fmt.Errorf("%s: runtime.options: %w", file, err)
	}
	var result []string
	if info.Options.TypeScript != nil {
		result = append(result, fmt.Sprintf("-typescript=%t", *info.Options.TypeScript))
	}
	if info.Options.TSConfig != "" {
		result = append(result, "-tsconfig="+info.Options.TSConfig)
	}
	if info.Options.NodeArgs != "" {
		result = append(result, "-nodeargs="+info.Options.NodeArgs)
	}
	return result, nil
}

func run() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return err
	}
	folder, err := os.Getwd()
	if err != nil {
		return err
	}
	arguments := []string{"pulumi-language-nodejs"}
	if file := projectFile(folder); file != "" {
		fromProject, err := flags(file)
		if err != nil {
			return err
		}
		arguments = append(arguments, fromProject...)
	}
	// The engine's address is a positional argument and stays last.
	arguments = append(arguments, os.Args[1:]...)
	host := filepath.Join(filepath.Dir(self), "pulumi-language-nodejs-host")
	return fmt.Errorf("%s: %w", host, syscall.Exec(host, arguments, os.Environ()))
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-language-nodejs:", err)
		os.Exit(1)
	}
}
