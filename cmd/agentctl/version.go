package main

import (
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/version"
)

type versionCommand struct{}

func (*versionCommand) Synopsis() string { return "Prints the version" }

func (*versionCommand) Help() string {
	return `Usage: agentctl version [options]

  Prints the version of agentctl and the serf protocols that it speaks.

Options:

  -format=text|json  Form of the output, text by default.

Examples:

  agentctl version
  agentctl version -format=json | jq -r .version`
}

// versionReport is what the command prints as JSON.
type versionReport struct {
	Version     string `json:"version"`
	Revision    string `json:"revision,omitempty"` // of the source, where the build knew it
	Go          string `json:"go"`
	OS          string `json:"os"`
	Arch        string `json:"arch"`
	Serf        string `json:"serf"` // the version of serf's module
	ProtocolMin uint8  `json:"protocol_min"`
	ProtocolMax uint8  `json:"protocol_max"`
}

func (c *versionCommand) Run(args []string) int {
	if err := c.print(args, os.Stdout); err != nil {
		printErrors("agentctl version", err)
		return 1
	}
	return 0
}

func (c *versionCommand) print(args []string, out io.Writer) error {
	fs := newFlags("version")
	format := fs.String("format", "text", "")
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return unexpected(fs)
	}
	if err := checkFormat(*format); err != nil {
		return err
	}
	build := version.ReadBuild()
	if *format == "json" {
		return writeLine(out, versionReport{
			Version: build.Version, Revision: build.Revision, Go: build.Go, OS: runtime.GOOS, Arch: runtime.GOARCH,
			Serf: build.Serf, ProtocolMin: serf.ProtocolVersionMin, ProtocolMax: serf.ProtocolVersionMax,
		})
	}
	fmt.Fprintf(out, "agentctl v%s (%s, %s/%s)\n", build.Version, build.Go, runtime.GOOS, runtime.GOARCH)
	_, err := fmt.Fprintf(out, "Agent Protocol: %d (Understands back to: %d)\n", config.DefaultProtocol, serf.ProtocolVersionMin)
	return err
}
