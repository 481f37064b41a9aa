package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"agentctl/agent/api"
)

type healthCommand struct{}

func (*healthCommand) Synopsis() string { return "Tells by its exit status whether an agent is ready" }

func (*healthCommand) Help() string {
	return `Usage: agentctl health [options]

  Asks the agent beside it whether it is ready: whether its parts work, it is
  joined where it is to join, takes RPC clients, and can write its journal. For probes without a
  shell, such as a container's HEALTHCHECK. The exit status is 0 if it is, and 1
  otherwise, with a line for each reason.

  It asks /readyz of the operations endpoint or, with -live, /healthz: whether
  the process works, joined or not.

Options:

  -live                     Ask whether the agent works, not whether it is ready.
  -targets                  Count a target that is not ok as not ready.
  -timeout=5s               Longest wait for the answer.
` + opsHelp + `
Examples:

  agentctl health
  agentctl health -live -timeout=2s
  agentctl health -http-addr=unix:/run/agentctl.sock -format=json`
}

func (c *healthCommand) Run(args []string) int {
	return runOps("health", func(ctx context.Context) error { return c.ask(ctx, args, os.Stdout) })
}

func (c *healthCommand) ask(ctx context.Context, args []string, out io.Writer) error {
	fs := newFlags("health")
	ops := addOpsFlags(fs)
	live := fs.Bool("live", false, "")
	targets := fs.Bool("targets", false, "")
	timeout := fs.Duration("timeout", 5*time.Second, "")
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	switch {
	case fs.NArg() > 0:
		return unexpected(fs)
	case *timeout <= 0:
		return &usageError{fmt.Sprintf("-timeout: %v is not above zero", *timeout)}
	case *live && *targets:
		return &usageError{"-live and -targets are given: whether an agent works does not depend on its targets; give one of them"}
	}
	client, err := ops.client()
	if err != nil {
		return err
	}
	path := "/readyz"
	switch {
	case *live:
		path = "/healthz"
	case *targets:
		path += "?targets=ok"
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	report, err := client.health(ctx, path)
	if err != nil {
		return err
	}
	if ops.json() {
		err = writeLine(out, report)
	} else {
		err = printHealth(out, report)
	}
	if err == nil && !report.OK() {
		err = exitCode(1)
	}
	return err
}

func printHealth(out io.Writer, r *api.HealthReport) (err error) {
	_, err = fmt.Fprintln(out, printable([]byte(r.Status), 100))
	for _, reason := range append(r.Reasons, r.Warnings...) {
		if err == nil {
			_, err = fmt.Fprintln(out, printable([]byte(reason), 1000))
		}
	}
	return err
}
