// Example publishes one event in two ways: by serf's RPC and by the agent's HTTP
// API. Copy the one that you need. The RPC works with any serf agent. The HTTP API
// is agentctl's own, and answers with the event's ID.
//
// Start a cluster in one terminal, and run the program in another:
//
//	go run ./cmd/agentctl dev
//	go run ./scripts/example kong '{"type":"ENTITY_UPDATED"}'
//
// The two are separate events with the same name and payload, so each gateway may
// get both.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"agentctl/agent/api"
	"agentctl/rpcclient"
)

func main() {
	rpcAddr := flag.String("rpc-addr", rpcclient.DefaultAddr, "RPC address of the agent")
	httpAddr := flag.String("http-addr", "127.0.0.1:7374", "address of the agent's HTTP API")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "Usage: go run ./scripts/example [flags] NAME PAYLOAD")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := publish(ctx, os.Stdout, *rpcAddr, *httpAddr, flag.Arg(0), []byte(flag.Arg(1))); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

// publish publishes an event in both ways, and says so.
func publish(ctx context.Context, out io.Writer, rpcAddr, httpAddr, name string, payload []byte) error {
	warning, err := publishByRPC(ctx, rpcAddr, name, payload)
	if err != nil {
		return fmt.Errorf("cannot publish by RPC: %w", err)
	}
	fmt.Fprintln(out, "published by RPC")
	warn(out, warning)

	report, err := publishByHTTP(ctx, httpAddr, name, payload)
	if err != nil {
		return fmt.Errorf("cannot publish by HTTP: %w", err)
	}
	fmt.Fprintln(out, "published by HTTP as", report.ID)
	warn(out, report.Warning)
	return nil
}

// warn says which members will not get an event, because it is too large for serf.
func warn(out io.Writer, warning string) {
	if warning != "" {
		fmt.Fprintln(out, "warning:", warning)
	}
}

// publishByRPC publishes an event through any serf agent. A program that publishes
// often keeps an [rpcclient.Publisher] instead.
func publishByRPC(ctx context.Context, addr, name string, payload []byte) (warning string, err error) {
	client, err := rpcclient.Dial(ctx, rpcclient.Config{Addr: addr})
	if err != nil {
		return "", err // it says what to look at
	}
	defer client.Close()
	sent, err := client.Publish(ctx, name, payload, false)
	if errors.Is(err, rpcclient.ErrLostReply) {
		err = fmt.Errorf("check whether the gateways got the event before you try again: %w", err)
	}
	return sent.Warning, err
}

// publishByHTTP publishes an event through an agentctl agent. The body of the
// request is the payload, byte for byte.
func publishByHTTP(ctx context.Context, addr, name string, payload []byte) (report api.PublishReport, err error) {
	endpoint := "http://" + addr + "/v1/events?name=" + url.QueryEscape(name)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(payload))
	if err != nil {
		return report, err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return report, fmt.Errorf("%w (is the agent running, and is this its -http-addr?)", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		var refusal api.ErrorReport
		json.NewDecoder(resp.Body).Decode(&refusal) // stays empty if no agent answered
		return report, fmt.Errorf("%s answered %s: %s", addr, resp.Status, refusal.Error)
	}
	if err := json.NewDecoder(resp.Body).Decode(&report); err != nil {
		return report, fmt.Errorf("the agent took the event, but its answer cannot be read: %w", err)
	}
	return report, nil
}
