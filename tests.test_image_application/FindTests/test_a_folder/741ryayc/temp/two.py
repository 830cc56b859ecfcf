import guest
class Hello(guest.SubscriberProtocol):
    pass
class More(SubscriberProtocol):
    pass
