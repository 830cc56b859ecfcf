package wire

// The table "Limits" of docs/protocol.md.
const (
	// Version is the version of the protocol.
	Version = 1
	// Port is the vsock port at which a proxy listens unless it is configured otherwise.
	Port = 12345
	// HostCID is the vsock address of the host.
	HostCID = 2

	maxDigits   = 7
	maxDepth    = 8
	maxElements = 1024
	maxInteger  = 1<<53 - 1

	// MaxFields is how many header or trailer fields a section has at most.
	MaxFields = 128
	// MaxFieldBytes bounds the names and values of a section together.
	MaxFieldBytes = 65_536
	// MaxMethod is the length of the longest method, in bytes.
	MaxMethod = 64
	// MaxTarget is the length of the longest target, in bytes.
	MaxTarget = 65_536
	// MaxName bounds names, codes, nonces and tokens, in bytes.
	MaxName = 128
	// MaxReason bounds reasons, and values of info for which nothing else is said, in bytes.
	MaxReason = 1024
	// MaxPattern bounds the patterns of a route, in bytes.
	MaxPattern = 1024
	// MaxWindow is the greatest window, and the greatest amount of one credit, in bytes.
	MaxWindow = 1<<31 - 1
	// MaxWeight is the greatest weight.
	MaxWeight = 1000
	// MaxInterim bounds the interim responses of an exchange: their names and values, and
	// InterimCost for each.
	MaxInterim = 16_384
	// InterimCost is what each interim response counts besides its names and values.
	InterimCost = 128
	// MaxPiece is how many bytes the data of a body frame should have at most.
	MaxPiece = 16_384

	// MaxProtocols is how many protocols a guest takes tunnels for at most.
	MaxProtocols = 8

	maxProtocol    = 32
	maxProcesses   = 1024
	maxHops        = 2
	maxCertificate = 65_536

	minFrame = 1024
	maxFrame = 9_999_999
)

// Limits are what one side takes, as hello and welcome tell it.
type Limits struct {
	// Frame is the longest payload of a frame, in bytes.
	Frame int
	// Window is the credit of each body that is streamed to this side, in bytes.
	Window int
	// Inline is the longest body within a request or a response, in bytes.
	Inline int
}

// DefaultLimits are those of a side that has said nothing else.
var DefaultLimits = Limits{Frame: 262_144, Window: 65_536, Inline: 65_536}
