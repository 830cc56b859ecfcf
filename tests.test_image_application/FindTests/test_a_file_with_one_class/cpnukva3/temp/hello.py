import guest
class Hello(guest.SubscriberProtocol):
    pass
class Other:
    pass
