//go:build !linux

package smallfs

import "errors"

func mount(string, string) error { return errors.ErrUnsupported }

func grow(string, string) error { return errors.ErrUnsupported }

func unmount(string) error { return errors.ErrUnsupported }

func full(error) bool { return false }
