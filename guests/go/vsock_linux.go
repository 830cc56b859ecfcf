package guest

import (
	"context"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// AF_VSOCK is not in package syscall: linux/vm_sockets.h.
const afVsock = 40

type sockaddrVM struct {
	family   uint16
	reserved uint16
	port     uint32
	cid      uint32
	flags    uint8
	zero     [3]uint8
}

// vsockAddr is an address of AF_VSOCK.
type vsockAddr struct{ cid, port uint32 }

func (vsockAddr) Network() string  { return "vsock" }
func (a vsockAddr) String() string { return fmt.Sprintf("%d:%d", a.cid, a.port) }

// vsockConn is a connection of AF_VSOCK. Package net knows none, but a file that does not block
// has deadlines, waits without a thread, and splices.
type vsockConn struct {
	*os.File
	remote vsockAddr
}

func (c *vsockConn) LocalAddr() net.Addr  { return vsockAddr{} }
func (c *vsockConn) RemoteAddr() net.Addr { return c.remote }

func dialVsock(ctx context.Context, cid, port uint32) (net.Conn, error) {
	remote := vsockAddr{cid, port}
	failed := func(err error) error {
		return &net.OpError{Op: "dial", Net: "vsock", Addr: remote, Err: err}
	}
	fd, err := syscall.Socket(afVsock, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, failed(os.NewSyscallError("socket", err))
	}
	address := sockaddrVM{family: afVsock, port: port, cid: cid}
	_, _, number := syscall.Syscall(syscall.SYS_CONNECT, uintptr(fd),
		uintptr(unsafe.Pointer(&address)), unsafe.Sizeof(address))
	if number != 0 && number != syscall.EINPROGRESS {
		syscall.Close(fd)
		return nil, failed(os.NewSyscallError("connect", number))
	}
	conn := &vsockConn{os.NewFile(uintptr(fd), "vsock"), remote}
	if number == syscall.EINPROGRESS {
		if err := connected(ctx, conn.File); err != nil {
			conn.Close()
			return nil, failed(err)
		}
	}
	return conn, nil
}

// connected waits until a connect that was begun is done, and returns its error.
func connected(ctx context.Context, file *os.File) error {
	if deadline, is := ctx.Deadline(); is {
		file.SetWriteDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { file.SetWriteDeadline(time.Unix(1, 0)) })
	defer file.SetWriteDeadline(time.Time{})
	defer stop()
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Write(func(fd uintptr) bool {
		var number int
		number, failure = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
		if failure == nil && number != 0 {
			failure = os.NewSyscallError("connect", syscall.Errno(number))
		}
		if failure != nil {
			return true
		}
		// It does not know the family of the address, and says so once there is one.
		_, err := syscall.Getpeername(int(fd))
		return err != syscall.ENOTCONN
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	return failure
}
