package socket

import "errors"

// CloseWrite tells the other side that nothing more comes, and leaves the connection open
// for what it still sends. A connection that cannot do so has the error
// [errors.ErrUnsupported].
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
