package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"agentctl/agent/config"
	"agentctl/rpcclient"
)

// newFlags returns a flag set whose errors say what is wrong in one line; see
// parseFlags.
func newFlags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return fs
}

// usageError is a command line that cannot be parsed.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func isUsage(err error) bool { _, ok := errors.AsType[*usageError](err); return ok }

// parseFlags parses args; its error is one line that names the next step.
func parseFlags(fs *flag.FlagSet, args []string) error {
	err := fs.Parse(args)
	if err == nil {
		return nil
	}
	text, near := err.Error(), ""
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		var known []string
		fs.VisitAll(func(f *flag.Flag) { known = append(known, "-"+f.Name) })
		near = config.DidYouMean("-"+strings.TrimLeft(name, "-"), known)
		text = "unknown flag " + name
	}
	if errors.Is(err, flag.ErrHelp) {
		text = "help wanted"
	}
	if before, ok := strings.CutSuffix(text, ": parse error"); ok { // package flag does not say what it wants
		_, name, _ := strings.Cut(before, "for flag -")
		switch f := fs.Lookup(name); {
		case f == nil:
		case isDuration(f):
			text = before + ": give a duration with its unit, such as 10s or 5m"
		default:
			text = before + ": give a whole number"
		}
	}
	return &usageError{fmt.Sprintf("%s%s \"agentctl %s -help\" lists the flags", text, cmp.Or(near, ";"), fs.Name())}
}

func isDuration(f *flag.Flag) bool {
	getter, ok := f.Value.(flag.Getter)
	if !ok {
		return false
	}
	_, ok = getter.Get().(time.Duration)
	return ok
}

// rpcFlags adds serf's two flags for reaching an agent; run has set the
// variables from ours.
func rpcFlags(fs *flag.FlagSet) (addr, auth *string) {
	addr = fs.String("rpc-addr", firstEnv(rpcclient.DefaultAddr, "SERF_RPC_ADDR"), "")
	auth = fs.String("rpc-auth", firstEnv("", "SERF_RPC_AUTH"), "")
	return addr, auth
}

// firstEnv is the first of the variables that is set, or otherwise.
func firstEnv(otherwise string, names ...string) string {
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return otherwise
}
