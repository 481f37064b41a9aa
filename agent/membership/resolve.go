package membership

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

const srvPrefix = "dns+srv://"

// srvResolver looks up SRV records; *[net.Resolver] is one.
type srvResolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
}

// resolve replaces each dns+srv://NAME by the hosts and ports of its SRV records.
// Other addresses stay: memberlist looks names up itself, each time. The error tells
// which names could not be looked up; the other addresses are returned beside it.
func resolve(ctx context.Context, r srvResolver, addrs []string) (out []string, err error) {
	var errs []error
	for _, a := range addrs {
		name, ok := strings.CutPrefix(a, srvPrefix)
		if !ok {
			out = append(out, a)
			continue
		}
		_, records, err := r.LookupSRV(ctx, "", "", name)
		// A lone record without a target says that there is no such service.
		records = slices.DeleteFunc(slices.Clone(records), func(rec *net.SRV) bool { return rec.Target == "." || rec.Target == "" })
		if err == nil && len(records) == 0 {
			err = errors.New("no SRV records")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a, err))
			continue
		}
		for _, rec := range records {
			out = append(out, net.JoinHostPort(strings.TrimSuffix(rec.Target, "."), strconv.Itoa(int(rec.Port))))
		}
	}
	return out, errors.Join(errs...)
}

// flatError gives an error's text on one line: memberlist writes several below
// one another.
type flatError struct{ error }

func flatten(errs ...error) error { return flatError{errors.Join(errs...)} }

func (e flatError) Error() string {
	var parts []string
	for line := range strings.Lines(e.error.Error()) {
		if line = strings.TrimLeft(strings.TrimSpace(line), "* "); line != "" {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, " ")
}

func (e flatError) Unwrap() error { return e.error }
