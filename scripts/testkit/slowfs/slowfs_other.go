//go:build !linux

package slowfs

import (
	"errors"
	"time"
)

func mount(string, string, time.Duration) (func() error, error) { return nil, errors.ErrUnsupported }
