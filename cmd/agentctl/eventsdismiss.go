package main

import (
	"context"
	"fmt"
	"io"

	"agentctl/agent/api"
)

// dismiss forgets burials of a target.
func (c *eventsCommand) dismiss(ctx context.Context, args []string, out io.Writer) error {
	fs := newFlags("events dismiss")
	ops := addOpsFlags(fs)
	var req api.DismissRequest
	fs.BoolVar(&req.All, "all", false, "")
	fs.StringVar(&req.Target, "target", "", "")
	fs.Func("id", "", func(id string) error { req.IDs = append(req.IDs, id); return nil })
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	switch {
	case fs.NArg() > 0:
		return unexpected(fs)
	case req.Target == "":
		return &usageError{"-target is missing; \"agentctl status\" lists the targets"}
	case req.All == (len(req.IDs) > 0):
		return &usageError{"say which burials: -all, or -id once or more; \"agentctl events -state=buried\" lists them"}
	}
	client, err := ops.client()
	if err != nil {
		return err
	}
	var r api.DismissReport
	if err := client.post(ctx, "/v1/dismiss", &req, &r); err != nil {
		return err
	}
	if ops.json() {
		return writeLine(out, &r)
	}
	_, err = fmt.Fprintf(out, "%s: %s dismissed, %d left\n", word(r.Target), count(r.Dismissed, "burial"), r.BuriedNow)
	return err
}
