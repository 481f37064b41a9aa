package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"

	"agentctl/agent/api"
	"agentctl/cmd/agentctl/quick"
	"agentctl/rpcclient"
)

// finishEvent ends a command whose event package quick has sent. It prints what
// the command prints that sends an event itself, and returns its exit status.
func finishEvent(sent *quick.Sent) int {
	ctx := context.Background()
	if !sent.Serf { // serf's own command lets an interrupt end the process
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt)
		defer stop()
	}
	if err := awaitAnswer(ctx, sent, os.Stdout); err != nil {
		if text := err.Error(); sent.Serf { // as serf's own command
			fmt.Println(text)
		} else {
			fmt.Println(indented(text))
		}
		return 1
	}
	return 0
}

func awaitAnswer(ctx context.Context, sent *quick.Sent, out io.Writer) error {
	event := api.PublishRequest{Name: sent.Name, Coalesce: sent.Coalesce}
	conn, err := takeConn(sent.FD)
	if err != nil {
		return sendingError(&rpcclient.CallError{Command: "event", Addr: sent.Addr, Sent: true, Err: err})
	}
	told, err := rpcclient.Resume(ctx, rpcclient.Config{Addr: sent.Addr}, conn, sent.Seq)
	if sent.Serf {
		told, err = rpcclient.Published{}, asSerf(err)
	}
	if err != nil {
		return sendingError(err)
	}
	answered(out, &event, told)
	return nil
}

// takeConn makes a net.Conn of a connected socket.
func takeConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "agent")
	defer f.Close() // the conn has a duplicate
	return net.FileConn(f)
}

// asSerf words the error of an event as serf's client does, which shows no
// warnings either.
func asSerf(err error) error {
	if remote, ok := errors.AsType[*rpcclient.RemoteError](err); ok {
		return errors.New(remote.Text)
	}
	if err != nil {
		return errors.New("client closed")
	}
	return nil
}
