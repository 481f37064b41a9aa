package main

import (
	"fmt"
	"runtime"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent"
)

type versionCommand struct{}

func (*versionCommand) Synopsis() string { return "Prints the version" }

func (*versionCommand) Help() string {
	return `Usage: agentctl version

  Prints the version of agentctl and the serf protocols that it speaks.`
}

func (*versionCommand) Run([]string) int {
	fmt.Printf("agentctl v%s (%s, %s/%s)\n", agent.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	fmt.Printf("Agent Protocol: %d (Understands back to: %d)\n", serf.ProtocolVersionMax, serf.ProtocolVersionMin)
	return 0
}
