// Command pulumi-language-nodejs runs Node.js programs for Pulumi's engine. The newest release of Pulumi's own that is
// published as a Go module stands between program and engine with the calls of 2023 only: resource hooks, for one, never
// reach the engine. This one lets the program talk to the engine itself.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/google/shlex"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// What the SDK's cmd/run ends with when it has told the person what is wrong already.
const alreadyTold = 32

type languageHost struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
	engineAddress string
}

// GetRequiredPackages returns none: the engine loads the plugins that resources name.
func (*languageHost) GetRequiredPackages(
	context.Context, *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{}, nil
}

// GetPluginInfo returns no version, as there is only this one.
func (*languageHost) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{}, nil
}

// Run runs a program to its end.
func (host *languageHost) Run(ctx context.Context, request *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	command, err := host.command(ctx, request)
	if err != nil {
		return nil, err
	}
	err = command.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return &pulumirpc.RunResponse{}, nil
	case errors.As(err, &exit) && exit.ExitCode() == alreadyTold:
		return &pulumirpc.RunResponse{Bail: true}, nil
	case errors.As(err, &exit):
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("Program exited with non-zero exit code: %d", exit.ExitCode())}, nil
	default:
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("The program can't be run: %v", err)}, nil
	}
}

func (host *languageHost) command(ctx context.Context, request *pulumirpc.RunRequest) (*exec.Cmd, error) {
	options := request.GetInfo().GetOptions().AsMap()
	written, _ := options["nodeargs"].(string)
	arguments, err := shlex.Split(written)
	if err != nil {
		return nil, fmt.Errorf("Pulumi.yaml, runtime.options.nodeargs: %w", err)
	}
	found, err := exec.CommandContext(ctx, "node", "-p", "require.resolve('@pulumi/pulumi/cmd/run')").Output()
	if err != nil {
		return nil, fmt.Errorf("@pulumi/pulumi is not installed in the project (npm ci): %w", err)
	}
	arguments = append(arguments, strings.TrimSpace(string(found)))
	for _, flag := range [][2]string{
		{"monitor", request.GetMonitorAddress()},
		{"engine", host.engineAddress},
		{"organization", request.GetOrganization()},
		{"project", request.GetProject()},
		{"root-directory", request.GetInfo().GetRootDirectory()},
		{"stack", request.GetStack()},
		{"pwd", request.GetPwd()},
		{"parallel", strconv.Itoa(int(request.GetParallel()))},
	} {
		if flag[1] != "" {
			arguments = append(arguments, "--"+flag[0], flag[1])
		}
	}
	if request.GetDryRun() {
		arguments = append(arguments, "--dry-run")
	}
	entry := request.GetInfo().GetEntryPoint()
	if entry == "" {
		entry = "."
	}
	arguments = append(arguments, entry)

	config, err := json.Marshal(request.GetConfig())
	if err != nil {
		return nil, err
	}
	secretKeys, err := json.Marshal(append([]string{}, request.GetConfigSecretKeys()...))
	if err != nil {
		return nil, err
	}
	// Not bound to the call: what is interrupted ends by itself, after the hooks that the engine still asks for.
	command := exec.Command("node", append(arguments, request.GetArgs()...)...)
	command.Stdout = os.Stdout
	command.Stderr = os.Stderr
	command.Env = append(os.Environ(), "PULUMI_CONFIG="+string(config), "PULUMI_CONFIG_SECRET_KEYS="+string(secretKeys))
	if typescript, said := options["typescript"].(bool); !said || typescript {
		command.Env = append(command.Env, "PULUMI_NODEJS_TYPESCRIPT=true")
	}
	if tsconfig, said := options["tsconfig"].(string); said {
		command.Env = append(command.Env, "PULUMI_NODEJS_TSCONFIG_PATH="+tsconfig)
	}
	return command, nil
}

// endWithParent ends this process when the engine that started it is gone.
func endWithParent() {
	for parent := os.Getppid(); os.Getppid() == parent; {
		time.Sleep(time.Second)
	}
	os.Exit(1)
}

func run() error {
	// The engine's address is the positional argument, and the last one.
	host := &languageHost{}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[len(os.Args)-1], "-") {
		host.engineAddress = os.Args[len(os.Args)-1]
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(400 * 1024 * 1024))
	pulumirpc.RegisterLanguageRuntimeServer(server, host)
	go endWithParent()
	// The engine reads where to call from the first line.
	fmt.Printf("%d\n", listener.Addr().(*net.TCPAddr).Port)
	return server.Serve(listener)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-language-nodejs:", err)
		os.Exit(1)
	}
}
