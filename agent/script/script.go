package script

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/armon/circbuf"
	serfmetrics "github.com/hashicorp/go-metrics"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/logs"
	"agentctl/handler"
	"agentctl/handler/text"
)

const (
	// scriptOutput is how much of a script's output is kept: its end.
	scriptOutput = 8 << 10
	// loggedOutput is how much of it a debug line has.
	loggedOutput = 256
	// scriptSlow is when a script that still runs is named in the log.
	scriptSlow = time.Second
	// OutputWait is how long a script's output is still read once the script
	// has ended, for children that it left behind with it.
	OutputWait = 5 * time.Second
)

// notInEnv is what serf replaces in a tag's name to make a variable of it.
var notInEnv = text.LazyRegexp(`[^A-Z0-9_]`)

// New runs a command for events just as serf does: by the shell, with
// SERF_ variables, and the event on its standard input. What it prints to a
// query is the response.
func New(command string, filters handler.Filters, self func() serf.Member, logger *slog.Logger, m *Metrics) *Runner {
	name := text.Redact(command)
	logger = logger.With("script", name)
	sampled := &logs.Sampled{Logger: logger}
	return NewRunner(name, filters, logger, m, func(ctx context.Context, t Task) {
		e, start := t.Event, time.Now()
		output, err := runScript(ctx, command, self(), e, logger)
		m.ran(err)
		// For statsd and statsite, under stock serf's name.
		serfmetrics.MeasureSince([]string{"agent", "invoke", name}, start)
		logger.Debug("event handler ran", "event", e.String(), "took", time.Since(start), "output", text.Shorten(string(output), loggedOutput),
			logs.ForSerf("type", e.EventType().String()), logs.ForSerf("printed", strings.TrimSuffix(string(output), "\n")))
		if err != nil {
			sampled.Log(slog.LevelError, "event handler failed", time.Second, "event", e.String(), "error", err)
			return
		}
		if q, ok := e.(*serf.Query); ok && len(output) > 0 {
			if err := q.Respond(output); err != nil {
				sampled.Log(slog.LevelWarn, "query was not answered by a script", time.Second, "event", e.String(), "error", err)
			}
		}
	})
}

// runScript runs command for e and returns the last 8 KiB of what it wrote to
// standard output and standard error. When ctx ends, it kills the command and
// its children.
func runScript(ctx context.Context, command string, self serf.Member, e serf.Event, logger *slog.Logger) ([]byte, error) {
	env, stdin, err := scriptInput(self, e)
	if err != nil {
		return nil, err
	}
	output, err := circbuf.NewBuffer(scriptOutput)
	if err != nil {
		return nil, err
	}
	cmd := shellCommand(ctx, command)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.WaitDelay = OutputWait
	slow := time.AfterFunc(scriptSlow, func() {
		logger.Warn("event handler is slow", "event", e.String(), "running", scriptSlow)
	})
	defer slow.Stop()
	err = children.run(cmd)
	if errors.Is(err, exec.ErrWaitDelay) {
		logger.Warn("event handler left a child behind that holds its output open", "event", e.String())
		err = nil
	}
	if written := output.TotalWritten(); written > output.Size() {
		logger.Warn("event handler wrote much, its output is cut", "bytes", written, "kept", output.Size())
	}
	return output.Bytes(), err
}

// scriptInput is a script's environment, beside the agent's own, and its
// standard input. A NUL byte cannot be in a variable and is left out.
func scriptInput(self serf.Member, e serf.Event) (env []string, stdin []byte, err error) {
	set := func(name, value string) {
		env = append(env, name+"="+strings.ReplaceAll(value, "\x00", ""))
	}
	set("SERF_EVENT", e.EventType().String())
	set("SERF_SELF_NAME", self.Name)
	set("SERF_SELF_ROLE", self.Tags["role"])
	for name, value := range self.Tags {
		set("SERF_TAG_"+notInEnv().ReplaceAllString(strings.ToUpper(name), "_"), value)
	}
	switch e := e.(type) {
	case serf.MemberEvent:
		return env, MemberLines(e.Members), nil
	case serf.UserEvent:
		set("SERF_USER_EVENT", e.Name)
		set("SERF_USER_LTIME", fmt.Sprint(e.LTime))
		return env, withNewline(e.Payload), nil
	case *serf.Query:
		set("SERF_QUERY_NAME", e.Name)
		set("SERF_QUERY_LTIME", fmt.Sprint(e.LTime))
		return env, withNewline(e.Payload), nil
	}
	return nil, nil, fmt.Errorf("unknown event type %s", e.EventType())
}

// withNewline ends a payload with a newline, as shells want it and serf does.
func withNewline(payload []byte) []byte {
	if len(payload) == 0 || bytes.HasSuffix(payload, []byte("\n")) {
		return payload
	}
	return append(bytes.Clone(payload), '\n')
}
