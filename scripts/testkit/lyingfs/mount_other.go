//go:build !linux

package lyingfs

import "errors"

func mount(*FS, string) (func() error, error) { return nil, errors.ErrUnsupported }
